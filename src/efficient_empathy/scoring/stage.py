"""The stage `score`: read a source into a run's folder, judge what has no judgement yet, write `scores.parquet`."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from efficient_empathy.dialogues import Intake, OnBadRow, Sample, open_source, scan_samples, write_samples
from efficient_empathy.errors import UserError
from efficient_empathy.scoring.judgement import STATES, Judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.loop import Ending, score_samples
from efficient_empathy.scoring.progress import ScoringProgress
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.workspace import Workspace, atomic

BAD_ROWS_SHOWN = 20


def ingest(
    source: str | Path,
    workspace: Workspace,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    on_bad_row: OnBadRow = "fail",
    force: bool = False,
) -> dict[str, Any]:
    """Read `source` into `samples.parquet` unless it already holds just that; returns what the manifest keeps of it."""
    opened = open_source(source, format=format, columns=columns, intake=Intake(on_bad_row=on_bad_row))
    origin = {"name": Path(str(source)).name, "format": opened.format, "digest": opened.digest()}
    parameters = {"columns": dict(columns or {}), "on_bad_row": on_bad_row}
    known = workspace.stage("read")
    same = known.get("source") == origin and known.get("parameters") == parameters
    if same and workspace.samples.exists() and not force:
        return known
    counts: Counter[str] = Counter()
    dialogues: set[tuple[str | None, str]] = set()
    ids: set[bytes] = set()

    def counted() -> Iterator[Sample]:
        for sample in opened:
            counts["samples"] += 1
            digest = bytes.fromhex(sample.id)
            counts["duplicates"] += digest in ids
            ids.add(digest)
            dialogues.add((sample.split, sample.dialogue_id))
            yield sample

    with atomic(workspace.samples) as temporary:
        write_samples(counted(), temporary)
        if not counts["samples"]:
            raise UserError(f"{source} holds no sample: {opened.intake.bad_row_count} bad rows, nothing to score")
    record = {
        "source": origin,
        "parameters": parameters,
        "samples": counts["samples"],
        "conversations": len(dialogues),
        "duplicates": counts["duplicates"],
        "bad_rows": opened.intake.bad_row_count,
        "bad_row_examples": [asdict(row) for row in opened.intake.bad_rows[:BAD_ROWS_SHOWN]],
        "repairs": dict(opened.intake.repairs),
        "skipped_files": [str(path) for path in opened.skipped_files],
    }
    workspace.record("read", record)
    return record


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
    with Ledger(workspace.ledger) as ledger:
        before = _standing(workspace.samples, ledger, judge.spec)
        window = getattr(judge, "endpoint", None)
        progress = ScoringProgress(
            console, read["samples"], before["ok"], (lambda: window.stats.concurrency) if window else None
        )
        try:
            with progress:
                ending = _run(workspace, judge, ledger, progress, console)
        finally:
            standing = _standing(workspace.samples, ledger, judge.spec)
            _write(workspace, ledger, judge, rubric)
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
    distributions = f"{rubric.axis_names[0]}_probabilities" in pl.read_parquet_schema(workspace.scores)
    workspace.record("score", {**kept, **result, **totals, **about, "distributions": distributions})
    return result


def _standing(samples: Path, ledger: Ledger, spec: str) -> Counter[str]:
    """How the rows of a run stand: by state, counting each row of a repeated sample."""
    counts: Counter[str] = Counter()
    for chunk in pl.scan_parquet(samples).select("sample_id").collect_batches(chunk_size=65536):
        ids = chunk["sample_id"].to_list()
        states = ledger.states(spec, ids)
        counts.update(states[i] for i in ids if i in states)
    return counts


def _write(workspace: Workspace, ledger: Ledger, judge: Judge, rubric: Rubric) -> None:
    distributions = ledger.has_probabilities(judge.spec)
    write_scores(workspace.samples, ledger, judge.spec, rubric, workspace.scores, distributions=distributions)


def _run(workspace: Workspace, judge: Judge, ledger: Ledger, progress: ScoringProgress, console: Console) -> Ending:
    samples = (sample for chunk in scan_samples(workspace.samples, 1024) for sample in chunk)
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is somebody else's to handle

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
        if handled:
            loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await score_samples(samples, judge, ledger, stop=stop, on_judgements=progress.update)
        except asyncio.CancelledError:
            return "stopped"
        finally:
            if handled:
                loop.remove_signal_handler(signal.SIGINT)
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
