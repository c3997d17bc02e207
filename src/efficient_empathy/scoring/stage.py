"""The stage `score`: judge what has no judgement yet, write `scores.parquet`."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.console import Console

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.errors import UserError
from efficient_empathy.scoring.judgement import STATES, Judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import Ending, score_samples
from efficient_empathy.scoring.progress import ScoringProgress
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.workspace import Workspace


def score(workspace: Workspace, judge: Judge, rubric: Rubric, *, console: Console | None = None) -> dict[str, Any]:
    """Judge every sample of a run that has no `ok` judgement of this judge yet, and write `scores.parquet`.

    Returns `{samples, states, unjudged, requests, cost_usd, seconds, ending}`, where `states` counts samples by how
    they stand now, `requests` and `cost_usd` what this call made and spent, and `ending` is complete, stopped
    (Ctrl-C) or budget. A `UserError` that ends it (dead endpoint, wrong key) comes after all that was received is kept.
    """
    console = console or Console(stderr=True)
    read = workspace.stage("read")
    workspace.require(workspace.samples, "score SOURCE")
    started = time.monotonic()
    failure: UserError | None = None
    ending: Ending | Literal["error"] = "error"
    with Ledger(workspace.ledger) as ledger:
        before = _standing(workspace.samples, ledger, judge.spec)
        progress = ScoringProgress(console, read["samples"], before["ok"], getattr(judge, "window", None))
        try:
            with progress:
                ending = _run(workspace, judge, ledger, progress, console)
        except UserError as error:
            failure = error
        standing = _standing(workspace.samples, ledger, judge.spec)
        distributions = ledger.has_probabilities(judge.spec)
        write_scores(workspace.samples, ledger, judge.spec, rubric, workspace.scores, distributions=distributions)
        totals = ledger.totals(judge.spec)
    states = {state: standing[state] for state in STATES}
    result = {
        "samples": read["samples"],
        "states": states,
        "unjudged": read["samples"] - sum(states.values()),
        "requests": progress.requests,
        "cost_usd": round(progress.cost_usd, 6),
        "seconds": round(time.monotonic() - started, 2),
        "ending": ending,
    }
    kept = {key: read[key] for key in read if key not in ("parameters", "finished_at", "versions")}
    about = {"judge": judge.name, "spec": judge.spec, "rubric": {"name": rubric.name, "hash": rubric.hash}}
    workspace.record("score", {**kept, **result, **totals, **about, "distributions": distributions})
    if failure is not None:
        judged = f"{states['ok']:,} of {read['samples']:,} samples are judged and kept"
        raise UserError(f"{failure} ({judged}; the same command goes on from there.)") from failure
    return result


def _standing(samples: Path, ledger: Ledger, spec: str) -> Counter[str]:
    """How the rows of a run stand: by state, counting each row of a repeated sample."""
    counts: Counter[str] = Counter()
    for chunk in pl.scan_parquet(samples).select("sample_id").collect_batches(chunk_size=65536):
        ids = chunk["sample_id"].to_list()
        states = ledger.states(spec, ids)
        counts.update(states[i] for i in ids if i in states)
    return counts


def _run(workspace: Workspace, judge: Judge, ledger: Ledger, progress: ScoringProgress, console: Console) -> Ending:
    samples = (sample for chunk in scan_samples(workspace.samples, 1024) for sample in chunk)
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

        loop = asyncio.get_running_loop()
        for name in ours:
            loop.add_signal_handler(name, interrupt)
        try:
            return await score_samples(samples, judge, ledger, stop=stop, on_judgements=progress.update)
        except asyncio.CancelledError:
            return "stopped"
        finally:
            for name in ours:
                loop.remove_signal_handler(name)
            await judge.close()

    return asyncio.run(main())


def summary(result: dict[str, Any], run: Path) -> str:
    """The result of `score` in words, with what to do next."""
    states = ", ".join(f"{count:,} {state}" for state, count in result["states"].items() if count)
    lines = [f"{result['samples']:,} samples: {states or 'none judged'}, in {result['seconds']:.0f} s."]
    if result["cost_usd"]:
        lines.append(f"{result['requests']:,} requests, ${result['cost_usd']:.4f}.")
    if result["ending"] == "stopped":
        lines.append(f"Stopped with {result['unjudged']:,} samples to go. Run the same command again to go on.")
    elif result["ending"] == "budget":
        lines.append(f"The budget ends here, with {result['unjudged']:,} samples to go. A higher --max-cost goes on.")
    elif result["unjudged"] < result["samples"] - result["states"]["ok"]:
        lines.append("Run the same command again to retry what failed.")
    lines.append(f"Next: efficient-empathy select --run {run}")
    return "\n".join(lines)
