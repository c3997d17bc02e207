"""The one runner of calls: a sliding window over a stream of items, each answer kept before its slot is used again.

Scoring, generation by an endpoint, pairwise comparison and LLM-judged quality all go through it. Signals let the calls
in flight finish; what concerns all calls ends the run after what was received is kept.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.signals import ENDING, is_ours, leave_terminal
from efficient_empathy.llm.errors import BudgetExhausted, Draining

Ending = Literal["complete", "stopped", "budget"]
"""How a run ended: with nothing left to ask, by a signal, or by the budget."""
SessionEnding = Ending | Literal["waiting", "error"]
"""The same, or with batches under way, or by an error."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def _nothing() -> None:
    pass


async def _nothing_to_close() -> None:
    pass


@dataclass(frozen=True)
class Work(Generic[Item, Answer]):
    """What is asked, and where the answers go. All functions are called in the event loop.

    `take` gives the next so many items or fewer, none at the end; `ask` gives their answers; `keep` writes them down.
    `batch_size` items go into one call, and `concurrency` calls are under way. `drain` lets nothing new go out,
    `check` raises what no later call would get past, `close` releases connections.
    """

    take: Callable[[int], Sequence[Item]]
    ask: Callable[[Sequence[Item]], Awaitable[Answer]]
    keep: Callable[[Sequence[Item], Answer], None]
    batch_size: int = 1
    concurrency: int = 1
    drain: Callable[[], None] = _nothing
    check: Callable[[], None] = _nothing
    close: Callable[[], Awaitable[None]] = _nothing_to_close


class Watcher:
    """Who follows a run: whoever reads `console`, and what a subclass adds."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def signals(self, names: Sequence[str]) -> None:
        """The signals, such as SIGTERM, that let the calls in flight finish; none again at the end."""

    def stopping(self) -> None:
        """The first signal has come."""
        self.console.print("\nStopping: finishing the calls in flight (Ctrl-C again abandons them).")

    async def watch(self) -> None:
        """Runs beside the calls, and is cancelled at the end."""


async def run_calls(work: Work[Item, Answer], stop: asyncio.Event) -> Ending:
    """Ask for every item. Setting `stop` ends it after the calls in flight.

    What concerns all calls (a wrong key, a dead endpoint, a full disk) is raised once the calls in flight are kept.
    """
    failures: list[Exception] = []

    async def slot() -> None:
        try:
            while not stop.is_set() and (batch := work.take(work.batch_size)):
                work.keep(batch, await work.ask(batch))
        except Draining:
            return
        except Exception as error:
            failures.append(error)
            stop.set()
            if not isinstance(error, BudgetExhausted):
                work.drain()  # nobody should pay for what cannot be kept

    async with asyncio.TaskGroup() as group:
        for _ in range(work.concurrency):
            group.create_task(slot())
    if failures:
        worst = next((failure for failure in failures if not isinstance(failure, BudgetExhausted)), None)
        if worst is not None:
            raise worst
        return "budget"
    return "stopped" if stop.is_set() else "complete"


def run(work: Work[Any, Any], watcher: Watcher) -> Ending:
    """`run_calls` from code that is not async, in a notebook's cell too; the work is closed in the end.

    SIGINT, SIGTERM and SIGHUP, where nobody else handles them, let the calls in flight finish; a second one abandons
    them.
    """
    # Only where nobody else handles them, and on the main thread, which alone may.
    on_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in (signal.SIGINT, *ENDING) if on_main and is_ours(number)]
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_run(work, watcher, ours))
    with ThreadPoolExecutor(1) as thread:  # a notebook's cell: its loop is running already, so ours runs beside it
        return thread.submit(asyncio.run, _run(work, watcher, [])).result()


async def _run(work: Work[Any, Any], watcher: Watcher, signals: Sequence[signal.Signals]) -> Ending:
    stop = asyncio.Event()
    async with _stopped_by(signals, stop, work, watcher):
        beating = asyncio.create_task(watcher.watch())
        try:
            ending = await run_calls(work, stop)
            work.check()
            return ending
        except asyncio.CancelledError:
            return "stopped"
        finally:
            beating.cancel()
            await work.close()


@asynccontextmanager
async def _stopped_by(
    signals: Sequence[signal.Signals], stop: asyncio.Event, work: Work[Any, Any], watcher: Watcher
) -> AsyncIterator[None]:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def interrupt() -> None:
        leave_terminal()
        if stop.is_set() and task is not None:
            task.cancel()
            return
        stop.set()
        work.drain()
        watcher.stopping()

    watcher.signals([one.name for one in signals])
    earlier = {one: signal.getsignal(one) for one in signals}
    for one in signals:
        loop.add_signal_handler(one, interrupt)
    try:
        yield
    finally:
        for one, handler in earlier.items():
            loop.remove_signal_handler(one)
            signal.signal(one, handler)
