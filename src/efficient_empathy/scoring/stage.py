"""The stage `score`: judge what has no judgement yet, write `scores.parquet`."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.console import Console

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.errors import UserError
from efficient_empathy.scoring.choice import JudgeOptions, make_judge
from efficient_empathy.scoring.contract import Bound
from efficient_empathy.scoring.ingest import ingest
from efficient_empathy.scoring.judgement import STATES, Judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import Ending, score_samples
from efficient_empathy.scoring.progress import ScoringProgress
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.workspace import Workspace

REASONS_SHOWN = 3


def score(
    source: str | Path,
    workspace: Workspace,
    judge: str | Judge = "distilled",
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    console: Console | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Read `source` into a run, judge every sample without an `ok` judgement of this judge, write `scores.parquet`.

    `judge` is a name with its `options`, or any object that keeps the `Judge` contract; `reading` is passed on to
    `ingest`. Returns `{samples, states, unjudged, requests, cost_usd, seconds, ending, …}`: `states` counts samples by
    how they stand now, `requests` and `cost_usd` what this call made and spent, `ending` is complete, stopped (Ctrl-C)
    or budget, `reasons` are the most frequent ones of failure. A `UserError` that ends it (dead endpoint, wrong key)
    comes after all that was received is kept.
    """
    console = console or Console(stderr=True)
    rubric = rubric or Rubric.load()
    workspace.create()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        if isinstance(judge, str):  # before anything is written, since it may not come about
            judge = make_judge(judge, rubric, workspace, _with_replies(options, source))
        read = ingest(source, workspace, **reading)
        told = f"{read['samples']:,} samples of {read['conversations']:,} conversations"
        console.print(f"{told}, read as {read['source']['format']}")
        return _score(workspace, Bound(judge, rubric), rubric, read, console)


def _with_replies(options: JudgeOptions | None, source: str | Path) -> JudgeOptions:
    options = options or JudgeOptions()
    return options if options.replies else replace(options, replies=Path(source))


def _score(
    workspace: Workspace, judge: Bound, rubric: Rubric, read: dict[str, Any], console: Console
) -> dict[str, Any]:
    if judge.note:
        console.print(judge.note)
    started = time.monotonic()
    failure: UserError | None = None
    ending: Ending | Literal["error"] = "error"
    with Ledger(workspace.ledger) as ledger:
        before, _ = _standing(workspace.samples, ledger, judge.spec)
        if judge.endpoint is not None:
            judge.endpoint.budget.journal = ledger.commit_usd
        window = judge.endpoint.window if judge.endpoint is not None else None
        progress = ScoringProgress(console, read["samples"] - read["duplicates"], before["ok"], window)
        try:
            with progress:
                ending = _run(workspace, judge, ledger, progress, console)
        except UserError as error:
            failure = error
        standing, reasons = _standing(workspace.samples, ledger, judge.spec)
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
        "reasons": dict(reasons.most_common(REASONS_SHOWN)),
        **{key: read[key] for key in ("bad_rows", "repairs", "duplicates")},
    }
    kept = {key: read[key] for key in read if key not in ("parameters", "finished_at", "versions")}
    axes = {axis.name: list(axis.scale) for axis in rubric.axes}
    about = {
        "judge": judge.name,
        "spec": judge.spec,
        "rubric": {"name": rubric.name, "hash": rubric.hash, "axes": axes},
    }
    workspace.record("score", {**kept, **result, **totals, **about, "distributions": distributions})
    if failure is not None:
        judged = f"{states['ok']:,} of {read['samples']:,} samples are judged and kept"
        raise UserError(f"{failure} ({judged}; the same command goes on from there.)") from failure
    return result


def _standing(samples: Path, ledger: Ledger, spec: str) -> tuple[Counter[str], Counter[str]]:
    """How the rows of a run stand, by state, counting each row of a repeated sample; and why those failed that did."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for chunk in pl.scan_parquet(samples).select("sample_id").collect_batches(chunk_size=65536):
        ids = chunk["sample_id"].to_list()
        states = ledger.states(spec, ids)
        counts.update(states[i] for i in ids if i in states)
        failed = [i for i, state in states.items() if state != "ok"]
        reasons.update(j.reason for j in ledger.latest(spec, failed).values())
    return counts, reasons


def _run(workspace: Workspace, judge: Bound, ledger: Ledger, progress: ScoringProgress, console: Console) -> Ending:
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
            judge.drain()

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

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    ours.clear()  # a notebook's cell: its loop is running already, so ours runs beside it
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, main()).result()


def summary(result: dict[str, Any], run: Path) -> str:
    """The result of `score` in words, with what to do next."""
    states = ", ".join(f"{count:,} {state}" for state, count in result["states"].items() if count)
    lines = [f"{result['samples']:,} samples: {states or 'none judged'}, in {result['seconds']:.0f} s."]
    left_out = {"bad rows left out": result["bad_rows"], **result["repairs"], "repeated samples": result["duplicates"]}
    if any(left_out.values()):
        lines.append("Reading: " + ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count) + ".")
    if result["cost_usd"]:
        lines.append(f"{result['requests']:,} requests, ${result['cost_usd']:.4f}.")
    lines += [f"  {count:,} × {reason}" for reason, count in result["reasons"].items()]
    if result["ending"] == "stopped":
        lines.append(f"Stopped with {result['unjudged']:,} samples to go. Run the same command again to go on.")
    elif result["ending"] == "budget":
        lines.append(f"The budget ends here, with {result['unjudged']:,} samples to go. A higher --max-cost goes on.")
    elif result["states"]["ok"] < result["samples"]:
        lines.append("Run the same command again to retry what failed.")
    if result["states"]["ok"]:
        lines.append(f"Next: efficient-empathy select --run {run}")
    return "\n".join(lines)
