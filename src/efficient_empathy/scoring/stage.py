"""The stage `score`: judge what has no judgement yet, write `scores.parquet`."""

from __future__ import annotations

import time
from collections import Counter
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
from efficient_empathy.scoring.loop import Ending
from efficient_empathy.scoring.progress import ScoringProgress
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.running import run_judge
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
        progress = ScoringProgress(console, read["samples"] - read["duplicates"], before["ok"], judge.window)
        samples = (sample for chunk in scan_samples(workspace.samples, 1024) for sample in chunk)
        try:
            ending = run_judge(samples, judge, ledger, progress, console)
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
