"""The stage `score`: read a source into a run, judge what has no judgement yet, write `scores.parquet`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample, scan_ids, scan_samples
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.guard import Bounds
from efficient_empathy.foundation.permissions import remember
from efficient_empathy.foundation.run.stages import ReadingRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.engine import Engine
from efficient_empathy.scoring.ingestion import ingest
from efficient_empathy.scoring.judges.contract import STATES, CheckedJudge, Judge, JudgeOptions
from efficient_empathy.scoring.judges.permissions import judge_needs
from efficient_empathy.scoring.judges.registry import build_judge, check_options, full_reference, share_budget
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.plausibility import suspicions
from efficient_empathy.scoring.preferences import preferences_of
from efficient_empathy.scoring.record import (
    SCORE,
    FirstPass,
    JudgeRecord,
    MemberRecord,
    ReadRecord,
    ScoreCall,
    ScoreCounts,
    ScoreRecord,
    ScoreResult,
    rubric_record,
)
from efficient_empathy.scoring.redaction import redaction_of
from efficient_empathy.scoring.rubric import Rubric, keep_rubric
from efficient_empathy.scoring.scores import write_scores
from efficient_empathy.scoring.session import Session
from efficient_empathy.scoring.settings import Pool

MOST_REASONS = 3


def score(
    source: str | Path,
    workspace: Workspace,
    judge: str | Judge | Sequence[str | Judge] = "distilled",
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    pool: Pool = "median",
    batches: BatchSettings | None = None,
    engine: Engine | None = None,
    reading: ReadingSettings | None = None,
    console: Console | None = None,
    force: bool = False,
) -> ScoreResult:
    """Read `source` into a run, judge every sample without an `ok` judgement of this judge, write `scores.parquet`.

    `judge` is a reference (`judges.registry`) with its `options`, any object that keeps the `Judge` contract, or
    several of either: each judges every sample, all on one budget, and `pool` makes one score of theirs. `batches`
    sends what it can through a batch API; `engine` has the judges work elsewhere than in this process; `reading` and
    `force` are passed on to `ingest`.

    A `UserError` that ends it (dead endpoint, wrong key) comes after all that was received is kept.
    """
    console = console or Console(stderr=True)
    rubric, options = rubric or Rubric.load(), options or {}
    judges: list[str | Judge] = [judge] if isinstance(judge, str) or not isinstance(judge, Sequence) else [*judge]
    check_options([one for one in judges if isinstance(one, str)], options)
    workspace.create()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        checked_judges = [
            build_judge(one, rubric, workspace, options, source) for one in judges
        ]  # before anything is written
        if batches is not None and batches.batch:
            _check_batches(checked_judges, engine)
        share_budget(checked_judges)
        panel = Panel.of([one.spec for one in checked_judges], pool if len(checked_judges) > 1 else "first")
        references = [
            JudgeRecord(name=judge.name, reference=full_reference(one, options))
            for one, judge in zip(judges, checked_judges, strict=True)
        ]
        bounds = Bounds((workspace.root.resolve(),))
        remember(need for one in references if one.reference for need in judge_needs(one.reference, {}, bounds))
        last = workspace.last(SCORE, ScoreRecord)
        record = ingest(source, workspace, reading, engine=engine, force=force)
        keep_rubric(workspace, rubric)
        counts = f"{record.samples:,} samples of {record.conversations:,} conversations"
        console.print(f"{counts}, read as {record.source.format}")
        return _score(
            workspace, checked_judges, FirstPass(panel=panel, judges=tuple(references)), last, rubric, record, console,
            batches, engine,
        )  # fmt: skip


def _check_batches(judges: Sequence[CheckedJudge], engine: Engine | None) -> None:
    """Raise `UserError` where no judge can be asked in batches, or none is left for a cluster."""
    if not any(one.has_batches for one in judges):
        raise UserError(
            f"--batch is for judges behind an API, which {judges[0].name} is not: name one with --judge, "
            "such as openai:MODEL or anthropic:MODEL, or leave --batch out"
        )
    if engine is not None and all(one.has_batches for one in judges):
        raise UserError(
            "--batch has the provider do the work, so --on has nothing to do: leave one of them out, or name one more "
            "judge, which works on the cluster"
        )


def _score(
    workspace: Workspace,
    judges: Sequence[CheckedJudge],
    first_pass: FirstPass,
    last: ScoreRecord | None,
    rubric: Rubric,
    reading: ReadRecord,
    console: Console,
    batches: BatchSettings | None,
    engine: Engine | None,
) -> ScoreResult:
    started = time.monotonic()
    panel = _with_rounds(first_pass, last)
    with Ledger(workspace.ledger) as ledger:
        session = Session(ledger, console, reading.samples - reading.duplicates, batches, engine)
        for one in judges:
            if len(judges) > 1:
                console.print(one.name)
            if not session.ask(one, lambda: read_samples(workspace.samples), scan_ids(workspace.samples)):
                break
        counts = write(workspace, ledger, panel, rubric)
        members = [_member(workspace, ledger, one) for one in judges]
    reasons = sum((failures for _, failures in members), Counter[str]())
    call = call_of(session, started, dict(reasons.most_common(MOST_REASONS)))
    pool = panel.pool if panel.pools else None
    disagreement = mean_disagreement(workspace) if panel.pools else None
    several = tuple(member for member, _ in members) if len(judges) > 1 else ()
    record_score(
        workspace, reading, rubric, counts, call,
        judge=" + ".join(one.name for one in judges), panel=panel, first_pass=first_pass,
        pool=pool, disagreement=disagreement, members=several,
    )  # fmt: skip
    session.give_up(f"{counts.states['ok']:,} of {reading.samples:,} samples are judged and kept")
    return ScoreResult(**result_fields(reading, counts, call), pool=pool, disagreement=disagreement, members=several)


def _with_rounds(first_pass: FirstPass, last: ScoreRecord | None) -> Panel:
    """The panel of `first_pass`, with the rounds that a refresh has added to the same judges."""
    same = last is not None and last.first_pass is not None and last.first_pass.panel == first_pass.panel
    return last.panel if same and last is not None else first_pass.panel


def call_of(session: Session, started: float, reasons: dict[str, int]) -> ScoreCall:
    """What a call made and spent."""
    return ScoreCall(
        requests=session.requests,
        cost_usd=round(session.cost_usd, 6),
        seconds=round(time.monotonic() - started, 2),
        ending=session.ending,
        under_way=session.under_way,
        reasons=reasons,
    )


def result_fields(reading: ReadingRecord, counts: ScoreCounts, call: ScoreCall) -> dict[str, Any]:
    """What a `ScoreResult` says, whichever way was scored."""
    return {
        "samples": reading.samples,
        "states": counts.states,
        "unjudged": counts.unjudged,
        "redaction": counts.redaction,
        "preferences": counts.preferences,
        "warnings": counts.warnings,
        **dict(call),
        "bad_rows": reading.bad_rows,
        "repairs": reading.repairs,
        "duplicates": reading.duplicates,
    }


def record_score(
    workspace: Workspace, reading: ReadRecord, rubric: Rubric, counts: ScoreCounts, call: ScoreCall, **others: Any
) -> None:
    """Record the stage `score`: what was read, by what rubric, how it went, and `others` of the record's fields."""
    record = ScoreRecord(
        **{name: getattr(reading, name) for name in ReadingRecord.model_fields},
        inputs=workspace.hashes([workspace.samples]),
        rubric=rubric_record(rubric),
        seconds=call.seconds,
        ending=call.ending,
        reasons=call.reasons,
        **counts.fields(),
        **others,
    )
    workspace.record(SCORE, record)


def write(workspace: Workspace, ledger: Ledger, panel: Panel, rubric: Rubric) -> ScoreCounts:
    """Write a run's scores as `panel` has them."""
    write_scores(workspace.samples, ledger, panel, rubric, workspace.scores)
    workspace.keep(SCORE, [workspace.scores])
    table = pl.scan_parquet(workspace.scores, glob=False).group_by("state").len().collect(engine="streaming")
    counts = dict(table.iter_rows())
    return ScoreCounts(
        states={state: counts.get(state, 0) for state in STATES},
        unjudged=counts.get(None, 0),
        totals=panel.totals(ledger),
        distributions=panel.distributions(ledger),
        redaction=redaction_of(workspace.samples, ledger, panel),
        preferences=preferences_of(workspace.samples, workspace.scores, rubric.axis_names),
        warnings=suspicions(workspace, ledger, panel, rubric),
    )


def read_samples(samples: Path) -> Iterator[Sample]:
    """The samples of a Parquet file, one by one."""
    return (sample for chunk in scan_samples(samples, 1024) for sample in chunk)


def _member(workspace: Workspace, ledger: Ledger, judge: CheckedJudge) -> tuple[MemberRecord, Counter[str]]:
    """How the rows of a run stand with one judge, what it has cost in all, and why it failed where it did."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for ids in scan_ids(workspace.samples):
        states = ledger.states(judge.spec, ids)
        counts.update(states[i] for i in ids if i in states)
        failures = [i for i, state in states.items() if state != "ok"]
        reasons.update(j.reason for j in ledger.latest(judge.spec, failures).values())
    totals = ledger.totals(judge.spec)
    member = MemberRecord(
        judge=judge.name,
        states={state: counts[state] for state in STATES},
        requests=totals.requests,
        cost_usd=round(totals.cost_usd, 6),
    )
    return member, reasons


def mean_disagreement(workspace: Workspace) -> float | None:
    """The mean `disagreement` of a run's pooled scores; None where no sample has two judgements."""
    mean = pl.scan_parquet(workspace.scores, glob=False).select(pl.col("disagreement").mean()).collect().item()
    return None if mean is None else round(mean, 4)


def require_scores(result: ScoreResult, max_failed: float = 1.0) -> None:
    """Raise `UserError` with the reasons where no sample has a score, or more than the share `max_failed` of those that
    were judged has none.

    What was stopped by hand has said so already.
    """
    if result.ending in ("stopped", "waiting"):
        return
    failures = sum(count for state, count in result.states.items() if state != "ok")
    reasons = "; ".join(f"{count:,} × {reason}" for reason, count in result.reasons.items())
    if not result.states["ok"]:
        cause = f", since all {failures:,} judgements failed: {reasons}" if failures else ""
        budget = ": the budget does not cover one request, raise --max-cost" if result.ending == "budget" else ""
        raise UserError(f"no sample has a score{cause or budget}")
    judged = failures + result.states["ok"]
    if failures > max_failed * judged:
        raise UserError(
            f"{failures:,} of {judged:,} judged samples ({failures / judged:.1%}) have no score, more than "
            f"--max-failed {max_failed:g} allows: {reasons}"
        )


def summary(result: ScoreResult, run: Path) -> str:
    """The result of `score` in words, with what to do next."""
    lines = [f"{result.samples:,} samples: {_states(result.states)}, in {result.seconds:.0f} s."]
    left_out = {"bad rows left out": result.bad_rows, **result.repairs, "repeated samples": result.duplicates}
    if any(left_out.values()):
        lines.append("Reading: " + ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count) + ".")
    if result.cost_usd:
        lines.append(f"{result.requests:,} requests, ${result.cost_usd:.4f}.")
    lines += [f"  {member.judge}: {_states(member.states)}" for member in result.members]
    if result.redaction is not None:
        lines.append(result.redaction.text())
    lines += [one.text() for one in result.preferences]
    if result.pool is not None:
        apart = result.disagreement
        spread = (
            "none has two yet" if apart is None else f"where there are several, they are {apart:.2f} apart on average"
        )
        lines.append(f"The score is the {result.pool} of a sample's judgements; {spread}.")
    lines += [f"  {count:,} × {reason}" for reason, count in result.reasons.items()]
    if result.ending == "stopped":
        lines.append(f"Stopped with {result.unjudged:,} samples to go. Run the same command again to go on.")
    elif result.under_way:
        lines.append(result.under_way_text())
    elif result.ending == "budget":
        lines.append(f"The budget ends here, with {result.unjudged:,} samples to go. A higher --max-cost goes on.")
    elif result.states["ok"] < result.samples:
        lines.append("Run the same command again to retry what failed.")
    lines += [f"Warning: {warning}." for warning in result.warnings]
    if any(result.states.get(state) for state in ("parse_error", "refused")):
        lines.append(f"What the judge replied: efficient-empathy replies {run}")
    if result.states["ok"] and not result.under_way:
        lines.append(f"Next: efficient-empathy select --run {shell(run)}")
    return "\n".join(lines)


def _states(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in states.items() if count) or "none judged"
