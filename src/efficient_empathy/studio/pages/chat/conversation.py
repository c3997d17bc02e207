"""One turn put to several models: local ones one after the other in a thread, endpoints beside them, all as events."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm import CallFailed, Completion, Endpoint
from efficient_empathy.llm.connection import connect
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.llm.wire import Messages
from efficient_empathy.modelling.generation import GenerationSettings
from efficient_empathy.modelling.generation.target import template_for
from efficient_empathy.studio.pages.chat.speech import Token, experts_of, speak
from efficient_empathy.studio.pages.chat.turns import ChatEndpoint, ChatRequest, Question, missing, target

SPARE = 1.3
"""How much more memory than its weights a model is given."""


class LoadedModels:
    """Local models by folder. Not safe in several threads at once: one thread loads and speaks."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def take(self, path: Path | str, max_new_tokens: int) -> Any:
        """The `LocalGenerator` of a model, loaded where it is not. Raises `UserError` as loading does."""
        from efficient_empathy.modelling.generation.local import LocalGenerator

        stamp = _stamp(path)
        if (model := self._models.pop(stamp, None)) is None:
            need = _bytes_of(path) * SPARE
            while self._models and (free := free_memory()) is not None and free < need:
                self._drop(next(iter(self._models)))
            model = LocalGenerator.load(path, GenerationSettings(max_new_tokens=max_new_tokens))
        model.settings = GenerationSettings(max_new_tokens=max_new_tokens)
        self._models[stamp] = model
        return model

    def clear(self) -> None:
        """Let go of all models."""
        for stamp in list(self._models):
            self._drop(stamp)

    def __len__(self) -> int:
        return len(self._models)

    def _drop(self, stamp: str) -> None:
        del self._models[stamp]
        gc.collect()
        if not missing():
            import torch

            torch.cuda.empty_cache()


def free_memory() -> int | None:
    """Bytes that a model may still take, of the GPU where there is one; None where the system does not tell."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    import torch

    message = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("not enough memory" in message or "can't allocate memory" in message)
    )


def _stamp(path: Path | str) -> str:
    """What changes where a folder's model is made anew."""
    if not isinstance(path, Path):
        return path
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    return f"{path}\n" + "\n".join(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files)


def _bytes_of(path: Path | str) -> int:
    """The weights' size in memory, an adapter's with its base: twice that on disk on a CPU, which computes in fp32."""
    import torch

    from efficient_empathy.modelling.training.models import base_of, is_adapter

    if not isinstance(path, Path):
        return 0
    own = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    both = own + (_disk(base_of(path)) if is_adapter(path) else 0)
    return both * (1 if torch.cuda.is_available() else 2)


def _disk(path: Path | str) -> int:
    return sum(file.stat().st_size for file in path.glob("*.safetensors")) if isinstance(path, Path) else 0


Tell = Callable[[str, dict[str, Any]], None]
PATIENCE_S = 20.0
log = logging.getLogger(__name__)


class Conversations:
    """The studio's one voice for local models. Endpoints are only those that the command was given."""

    def __init__(self) -> None:
        self._models = LoadedModels()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chat")
        self._budget = Budget()

    async def replies(
        self, workspace: Workspace, endpoints: Sequence[ChatEndpoint], chat: ChatRequest
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Events, each with its `model`: loading, experts, token, again (tokens so far are void), done, failed;
        then one end.

        Whoever stops reading stops the models: after their next token, or where they wait.
        """
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        loop, stop = asyncio.get_running_loop(), threading.Event()
        by_name = {endpoint.name: endpoint for endpoint in endpoints}

        def tell(kind: str, data: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, (kind, data))

        async def one(ask: Question) -> None:
            tell_about = _about(ask.model, tell)
            if ask.model in by_name:
                await _guarded_call(_call(by_name[ask.model], ask, chat, tell_about, self._budget), tell_about)
            else:
                await loop.run_in_executor(self._thread, self._answer, workspace, ask, chat, tell_about, stop)

        tasks = asyncio.gather(*(one(ask) for ask in chat.asks))
        tasks.add_done_callback(lambda _: queue.put_nowait(("end", {})))
        try:
            while (event := await queue.get())[0] != "end":
                yield event
            yield event
        finally:
            stop.set()
            tasks.cancel()
            await asyncio.gather(tasks, return_exceptions=True)

    def _answer(
        self, workspace: Workspace, ask: Question, chat: ChatRequest, tell: Tell, stop: threading.Event
    ) -> None:
        """In the thread: load, speak, tell; whatever goes wrong is one sentence."""
        if stop.is_set():
            return
        try:
            self._speak(workspace, ask, chat, tell, stop)
        except UserError as error:
            tell("failed", {"message": str(error)})
        except Exception as error:
            if not missing() and out_of_memory(error):
                self._models.clear()
                message = "there is not enough memory for it here: close other programs, or ask fewer models at a time"
            else:
                log.warning("the model %s failed", ask.model, exc_info=error)
                message = (
                    f"it failed with {type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"
                )
            tell("failed", {"message": message})

    def _speak(self, workspace: Workspace, ask: Question, chat: ChatRequest, tell: Tell, stop: threading.Event) -> None:
        if lacking := missing():
            raise UserError(lacking)
        model = target(ask.model, workspace)
        prompt = template_for(model, None, workspace).messages([turn.model_dump() for turn in ask.context])
        tell("loading", {})
        speaker = self._models.take(model.path, chat.max_tokens)
        began, first = time.monotonic(), True
        seed = secrets.randbelow(2**31) if chat.temperature else 0

        def on_token(token: Token) -> None:
            nonlocal first
            if first and token.gates:
                tell("experts", {"experts": experts_of(workspace.moe, len(token.gates[0])), "layers": len(token.gates)})
            first = False
            tell("token", {"text": token.text, **({"gates": token.gates} if token.gates else {})})

        reply = speak(speaker, prompt, temperature=chat.temperature, seed=seed, on_token=on_token, stop=stop)
        tell(
            "done",
            {
                "text": reply.text,
                "finish": reply.finish,
                "completion_tokens": reply.tokens,
                "left_out": reply.left_out,
                "seconds": round(time.monotonic() - began, 2),
                "mean": reply.mean(),
                "seed": seed if chat.temperature else None,
            },
        )


def _about(model: str, tell: Tell) -> Tell:
    """`tell` with the model's name on everything."""
    return lambda kind, data: tell(kind, {"model": model, **data})


async def _guarded_call(call: Any, tell: Tell) -> None:
    try:
        await call
    except CallFailed as failure:
        tell("failed", {"message": f"the endpoint gave no answer: {failure.reason}"})
    except UserError as error:
        tell("failed", {"message": str(error)})
    except Exception as error:
        log.warning("an endpoint failed", exc_info=error)
        tell("failed", {"message": f"the endpoint failed with {type(error).__name__}"})


class Budget:
    """What the chat's endpoints have cost since the studio began, and what their calls in flight may cost."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._reserved: defaultdict[str, float] = defaultdict(float)

    def reserve(self, endpoint: ChatEndpoint, most_usd: float | None) -> float:
        """Set aside what a call can cost at most. Raises `UserError` where that is more than the budget has left."""
        if endpoint.max_cost is None:
            return 0.0
        if most_usd is None:
            raise UserError(f"the price of {endpoint.model} is not known, so no budget can be kept: leave it out")
        left = endpoint.max_cost - self.spent[endpoint.name] - self._reserved[endpoint.name]
        if most_usd > left:
            raise UserError(
                f"of the chat's budget of ${endpoint.max_cost:g} only ${max(0.0, left):.4f} are left, and this reply "
                f"can cost ${most_usd:.4f}: start the studio with a higher --chat-max-cost"
            )
        self._reserved[endpoint.name] += most_usd
        return most_usd

    def settle(self, endpoint: ChatEndpoint, reserved_usd: float, cost_usd: float) -> None:
        """A call has ended, and what it has cost."""
        self._reserved[endpoint.name] -= reserved_usd
        self.spent[endpoint.name] += cost_usd


async def _call(endpoint: ChatEndpoint, ask: Question, chat: ChatRequest, tell: Tell, budget: Budget) -> None:
    """One reply of an endpoint, as it comes: with the client's retries, its limits and its secrecy."""
    options = endpoint.options
    messages = PromptTemplate.load("chat").messages([turn.model_dump() for turn in ask.context])
    began = time.monotonic()
    async with connect(
        options.wire,
        options.base_url,
        endpoint.model,
        api_key_env=options.api_key_env,
        headers=options.headers,
        extra_body=options.extra_body,
        concurrency=1,
        timeout_s=options.timeout_s,
        max_attempts=2,
        patience_s=PATIENCE_S,
    ) as client:
        most = client.estimate(messages, max_tokens=chat.max_tokens).max_cost_usd if client.price else None
        reserved = budget.reserve(endpoint, most)
        tell("loading", {})
        words = Words(tell)
        try:
            completion = await _ask(client, messages, chat, words)
        finally:
            budget.settle(endpoint, reserved, client.stats.spent_usd)
    text = completion.answer
    if completion.refusal is not None or not text:
        reason = completion.refusal or completion.finish_reason or "an empty one"
        tell("failed", {"message": f"it gave no reply: {reason}"})
        return
    if not words.said:
        tell("token", {"text": text})
    finish = "length" if completion.finish_reason == "length" else "stop"
    seconds = round(time.monotonic() - began, 2)
    tell(
        "done",
        {
            "text": text,
            "finish": finish,
            "seconds": seconds,
            "completion_tokens": completion.completion_tokens,
            "cost_usd": completion.cost_usd,
            "spent_usd": budget.spent[endpoint.name],
            "mean": [],
            "seed": None,
        },
    )


async def _ask(client: Endpoint, messages: Messages, chat: ChatRequest, words: Words) -> Completion:
    """The endpoint's answer, `words` told meanwhile; asked for whole where the server does not take it otherwise."""
    options: dict[str, Any] = {"on_text": words.take, "temperature": chat.temperature}
    while True:
        try:
            return await client.complete(messages, max_tokens=chat.max_tokens, **options)
        except CallFailed as failure:
            if failure.declined == "temperature" and options["temperature"] is not None:
                options["temperature"] = None
            elif failure.kind == "rejected" and options["on_text"] is not None and not words.said:
                options["on_text"] = None
            else:
                raise


class Words:
    """What of a streamed reply is no thought, told as it comes; one that begins anew is told of by the event again."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.said = ""

    def take(self, text: str) -> None:
        """The text so far."""
        reply = strip_thoughts(text)
        words = "" if reply.unfinished else reply.text.lstrip()
        if not words.startswith(self.said):
            self._tell("again", {})
            self.said = ""
        if len(words) > len(self.said):
            self._tell("token", {"text": words[len(self.said) :]})
            self.said = words


def event(kind: str, data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
