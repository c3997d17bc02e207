"""A judge put through its samples in one call: signals, the journal of what is spent, progress."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from efficient_empathy.dialogues import Sample
from efficient_empathy.scoring.heartbeat import Heartbeat
from efficient_empathy.scoring.judges.contract import Bound
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import Ending, score_samples
from efficient_empathy.scoring.progress import ScoringProgress


def run_judge(
    samples: Iterable[Sample],
    judge: Bound,
    ledger: Ledger,
    progress: ScoringProgress,
    console: Console,
    heartbeat: Heartbeat | None = None,
) -> Ending:
    """`score_samples` from code that is not async, in a notebook's cell too; the judge is closed in the end.

    SIGINT and SIGTERM, where nobody else handles them, let the calls in flight finish; a second one abandons them. The
    ledger notes what an endpoint's calls may come to before they go out, and `heartbeat` tells of it while it lasts.
    Raises what `score_samples` raises.
    """
    if judge.endpoint is not None:
        judge.endpoint.budget.journal = ledger.commit_usd
    # Only where nobody else handles them, and on the main thread, which alone may.
    untouched = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    on_main = threading.current_thread() is threading.main_thread()
    ours = [name for name, default in untouched.items() if on_main and signal.getsignal(name) is default]

    async def main() -> Ending:
        stop = asyncio.Event()
        task = asyncio.current_task()

        def interrupt() -> None:
            if stop.is_set() and task is not None:
                task.cancel()
                return
            console.print("\nStopping: finishing the calls in flight (Ctrl-C again abandons them).")
            stop.set()
            judge.drain()
            if heartbeat is not None:
                heartbeat.state = "stopping"
                heartbeat.write()

        loop = asyncio.get_running_loop()
        for name in ours:
            loop.add_signal_handler(name, interrupt)
        beating = None
        if heartbeat is not None:
            heartbeat.stopped_by = [name.name for name in ours]
            beating = asyncio.create_task(heartbeat.beat())
        try:
            ending = await score_samples(samples, judge, ledger, stop=stop, on_judgements=progress.update)
            judge.check()
            return ending
        except asyncio.CancelledError:
            return "stopped"
        finally:
            if beating is not None:
                beating.cancel()
            for name in ours:
                loop.remove_signal_handler(name)
            await judge.close()

    with progress:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(main())
        ours.clear()  # a notebook's cell: its loop is running already, so ours runs beside it
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, main()).result()
