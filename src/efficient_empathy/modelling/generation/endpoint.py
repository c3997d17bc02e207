"""Any OpenAI-compatible endpoint, through the client's window, retries and budget."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from efficient_empathy.llm import Budget, BudgetExhausted, CallFailed, Completion, Draining, Endpoint, Prices
from efficient_empathy.modelling.generation.backends import Prompt, Reply
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings


class _Calls:
    """What the thread that calls and the one that reads the replies have in common."""

    def __init__(self, prompts: Sequence[int]) -> None:
        self.left = iter(prompts)
        self.arrived: queue.SimpleQueue[tuple[Reply, asyncio.Event] | None] = queue.SimpleQueue()
        self.failures: list[BaseException] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None

    def take(self) -> list[tuple[Reply, asyncio.Event]]:
        """All that has arrived, at least one; empty once there is no more to come."""
        found = []
        item = self.arrived.get()
        while item is not None:
            found.append(item)
            try:
                item = self.arrived.get_nowait()
            except queue.Empty:
                return found
        if found:
            self.arrived.put(None)  # for the next time
        return found

    def tell(self, what: Callable[[], object]) -> None:
        """Have `what` called where the calls are."""
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # it is over
                self.loop.call_soon_threadsafe(what)

    def abandon(self) -> None:
        """End what is under way."""
        if self.task is not None:
            self.tell(self.task.cancel)


class EndpointGenerator:
    """Asks one call a prompt. Calls run in a thread of their own, so that a notebook's loop is no hindrance."""

    backend = "endpoint"

    def __init__(
        self, endpoint: Endpoint, settings: GenerationSettings, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        self.endpoint, self.settings, self._on_stop = endpoint, settings, on_stop
        self._temperature: float | None = settings.temperature

    @classmethod
    def load(
        cls,
        model: str,
        settings: GenerationSettings,
        options: EndpointOptions,
        *,
        spent_usd: float = 0.0,
        journal: Callable[[float], None] | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> EndpointGenerator:
        """The model of that name at the options' URL.

        `journal` is told what is committed before money can be spent, `on_stop` is called at the first Ctrl-C.
        """
        endpoint = Endpoint(
            options.base_url,
            model,
            api_key=os.environ.get(options.api_key_env),
            key_name=options.api_key_env,
            concurrency=options.concurrency,
            timeout_s=options.timeout_s,
            max_attempts=options.max_attempts,
            budget=Budget(options.max_cost, spent_usd, journal),
            prices=Prices.load(options.prices),
        )
        return cls(endpoint, settings, on_stop)

    def generate(self, prompts: Sequence[Prompt], done: Collection[int] = ()) -> Iterator[list[Reply]]:
        """Replies as they arrive; see `Generator`. A slot asks for more when its reply has been taken.

        At Ctrl-C nothing more is sent, what is in flight is waited for and handed out, and `KeyboardInterrupt` is
        raised after it; a second one abandons it. `BudgetExhausted`, or a dead endpoint's `UserError`, comes likewise.
        """
        calls = _Calls([i for i in range(len(prompts)) if i not in done])
        thread = threading.Thread(target=self._run, args=(prompts, calls), daemon=True)
        with _held_back(lambda: self._stop(calls)) as interrupted:
            thread.start()
            try:
                while arrived := calls.take():
                    yield [reply for reply, _ in arrived]
                    for _, taken in arrived:
                        calls.tell(taken.set)
            finally:
                calls.abandon()
            thread.join()
        if interrupted.is_set():
            raise KeyboardInterrupt
        if calls.failures:
            raise next((f for f in calls.failures if not isinstance(f, BudgetExhausted)), calls.failures[0])

    def _stop(self, calls: _Calls) -> None:
        self._on_stop()
        calls.tell(self.endpoint.drain)

    def _run(self, prompts: Sequence[Prompt], calls: _Calls) -> None:
        try:
            asyncio.run(self._serve(prompts, calls))
        except (asyncio.CancelledError, KeyboardInterrupt):
            pass
        except BaseException as error:  # raised where the replies are read
            calls.failures.append(error)
        finally:
            calls.arrived.put(None)

    async def _serve(self, prompts: Sequence[Prompt], calls: _Calls) -> None:
        calls.loop, calls.task = asyncio.get_running_loop(), asyncio.current_task()

        async def work() -> None:
            try:
                for i in calls.left:
                    if calls.failures:
                        return
                    taken = asyncio.Event()
                    calls.arrived.put((await self._one(i, prompts[i]), taken))
                    await taken.wait()
            except Draining:
                return
            except Exception as error:
                calls.failures.append(error)
                if not isinstance(error, BudgetExhausted):
                    self.endpoint.drain()  # nobody should pay for what comes after

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(2 * self.endpoint.window.maximum):
                    group.create_task(work())
            self.endpoint.check()
        finally:
            await self.endpoint.close()
            self.endpoint.budget.close()

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """The fields of the request for one prompt."""
        settings = self.settings
        fields: dict[str, Any] = {
            "messages": prompt,
            "max_tokens": settings.max_new_tokens,
            "temperature": self._temperature,
        }
        if settings.temperature:
            fields |= {"top_p": settings.top_p, "seed": settings.seed}
        return fields

    async def _one(self, i: int, prompt: Prompt) -> Reply:
        asked = self.request(prompt)
        try:
            return _read(i, await self.endpoint.complete(**asked))
        except CallFailed as failure:
            if failure.parameter == "temperature" and asked["temperature"] == 0:
                self._temperature = None  # reasoning models have none to set
                return await self._one(i, prompt)
            return Reply(i, None, "error", reason=failure.reason, cost_usd=failure.cost_usd)
        except (BudgetExhausted, Draining) as ended:
            if not ended.attempts:
                raise
            return Reply(i, None, "error", reason=str(ended), cost_usd=ended.cost_usd)


@contextlib.contextmanager
def _held_back(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM call `stop` and set the event; a second one is `KeyboardInterrupt`.

    Only where nobody else handles them, and on the main thread, which alone may.
    """
    stopped = threading.Event()

    def handle(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        stop()

    untouched = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    on_main = threading.current_thread() is threading.main_thread()
    ours = {name: default for name, default in untouched.items() if on_main and signal.getsignal(name) is default}
    for name in ours:
        signal.signal(name, handle)
    try:
        yield stopped
    finally:
        for name, default in ours.items():
            signal.signal(name, default)


def _read(i: int, completion: Completion) -> Reply:
    told = {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "cost_usd": completion.cost_usd,
    }
    if completion.refusal is not None or completion.finish_reason == "content_filter":
        return Reply(i, None, "error", reason=completion.refusal or "the server's content filter stopped it", **told)  # type: ignore[arg-type]
    finish = "length" if completion.finish_reason == "length" else "stop"
    if completion.text.strip() and not completion.answer:
        reason = "it only thought aloud: raise --max-new-tokens" if finish == "length" else "it only thought aloud"
        return Reply(i, None, "error", reason=reason, **told)  # type: ignore[arg-type]
    return Reply(i, completion.answer, finish, **told)  # type: ignore[arg-type]
