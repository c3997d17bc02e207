"""The stage `cascade`: the distilled judge answers where it is sure, an expert the rest, with a guarantee."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from efficient_empathy.dialogues import scan_ids
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, redact_all
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.f1 import F1Goal
from efficient_empathy.labelling.cascade.guarantee import ErrorGoal, Goal
from efficient_empathy.labelling.cascade.phases import Phases
from efficient_empathy.labelling.cascade.predictions import read_predictions
from efficient_empathy.labelling.cascade.record import CascadeRecord, CascadeResult, Plan, plan_text
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.cascade.steps import first_plan, take_steps
from efficient_empathy.labelling.cascade.work import Asked, UnfinishedError, Work
from efficient_empathy.labelling.subsets import bind_rules
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.ingestion import ingest
from efficient_empathy.scoring.judges.contract import JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge, check_options
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import ReadRecord
from efficient_empathy.scoring.rubric import Rubric, keep_rubric
from efficient_empathy.scoring.stage import (
    MOST_REASONS,
    call_of,
    record_score,
    result_fields,
    write,
)
from efficient_empathy.selection.policies import BoundRules

CASCADE = "cascade"


def cascade(
    source: str | Path,
    workspace: Workspace,
    settings: CascadeSettings,
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    dry_run: bool = False,
    batches: BatchSettings | None = None,
    reading: ReadingSettings | None = None,
    console: Console | None = None,
    force: bool = False,
) -> CascadeResult | CascadeRecord:
    """Score `source` with a guarantee on the policy's subsets; `reading` and `force` are passed on to `ingest`.

    With `batches` the expert is asked through its batch API: the cascade then ends after each phase and goes on from
    there once the batches have come back, unless it waits for them.

    The distilled judge scores everything; a plan is printed; further steps, if there are any, judge what is uncertain,
    where a trial shows that it pays; the expert judges a random sample, from which it is proven up to which uncertainty
    the steps may answer; the expert judges the rest; the guarantee is checked on other samples drawn at random. All
    judgements are in the run's ledger, so an interrupted cascade goes on where it stopped. With `dry_run` nothing is
    asked of the expert, and the record comes back alone. Raises `UserError` where the policy does not fit the rubric,
    and where the guarantee cannot be given by judging less than all samples, before anything is spent.
    """
    console = console or Console(stderr=True)
    rubric, options = rubric or Rubric.load(), options or {}
    bound = bind_rules(settings.load_rules(), rubric)
    check_options((*settings.step, settings.expert), options)
    workspace.create()

    def asked(judge: str) -> Asked:
        return Asked.of(lambda: build_judge(judge, rubric, workspace, options, source))

    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        expert = asked(settings.expert)  # before anything is written, since it may not come about
        distilled, *steps = map(asked, settings.step)
        if len({one.spec for one in (distilled, *steps, expert)}) < len(steps) + 2:
            raise UserError("each step and the expert must be another judge: two of them are the same")
        record = ingest(source, workspace, reading, force=force)
        keep_rubric(workspace, rubric)
        with Ledger(workspace.ledger) as ledger:
            work = Work(workspace, settings, rubric, expert, ledger, console, batches or BatchSettings())
            return _cascade(work, bound, record, distilled, steps, dry_run=dry_run)


def _cascade(
    work: Work,
    bound: BoundRules,
    reading: ReadRecord,
    distilled: Asked,
    steps: Sequence[Asked],
    *,
    dry_run: bool,
) -> CascadeResult | CascadeRecord:
    started = time.monotonic()
    settings, expert = work.settings, work.expert
    goal = _goal(settings, bound.policy.subsets)
    plain = redact_all(settings.model_dump(mode="json"))
    record = CascadeRecord(goal=goal.text(), settings=plain, policy=bound.policy.definition())
    panel = Panel.of([expert.spec])
    names = [one.name for one in (distilled, *steps)]
    with suppress(UnfinishedError):
        work.predict(distilled.first, reading.samples - reading.duplicates)
        taken = first_plan(work, read_predictions(work.workspace, work.ledger, distilled.spec, bound), goal, steps)
        record = record.model_copy(update={"plan": taken.plan, "steps": taken.records})
        work.console.print(plan_text(record, expert.name))
        if dry_run:
            return record
        taken = take_steps(work, taken, goal, steps)
        record = record.model_copy(update={"plan": taken.plan, "steps": taken.records})
        phases = Phases(work, taken.predictions, goal, taken.plan, taken.bought)
        phases.run()
        guarantee, check = phases.guarantee(), phases.check()
        own = guarantee.answered - (check.judgements if check else 0)
        proven = {
            "guarantee": guarantee, "check": check, "answered": phases.answered(names),
            "saved": round(own / taken.plan.samples, 4), "saved_usd": _saved(work, taken.plan, steps),
        }  # fmt: skip
        record = record.model_copy(update=proven)
        content = [plain, record.policy, guarantee.model_dump(mode="json")]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        own_spec = JudgeSpec(
            judge=CASCADE, rubric=work.rubric.hash, settings={"guarantee": digest[:16], "of": distilled.spec.key}
        )
        panel = Panel.of([expert.spec, own_spec])
        phases.record_answers(own_spec, names)
    return _write_scores(work, reading, panel, record, ", then ".join([*names, expert.name]), started)


def _saved(work: Work, plan: Plan, steps: Sequence[Asked]) -> float | None:
    """What asking the expert about all would have cost more than all that was asked."""
    if plan.all_usd is None:
        return None
    spent = sum(work.ledger.totals(asked.spec).cost_usd for asked in (work.expert, *steps))
    return round(plan.all_usd - spent, 4)


def _goal(settings: CascadeSettings, subsets: Sequence[str]) -> Goal:
    if settings.f1 is None:
        return ErrorGoal(settings.error, "the distilled judge's labels" if settings.method == "conformal" else "all")
    return F1Goal(settings.f1, subsets.index(settings.f1_subset), settings.f1_subset)


def _write_scores(
    work: Work, reading: ReadRecord, panel: Panel, record: CascadeRecord, judge: str, started: float
) -> CascadeResult:
    """Write the scores and the manifest's record."""
    counts = write(work.workspace, work.ledger, panel, work.rubric)
    last = work.sessions[-1]
    whole = {
        "requests": sum(session.requests for session in work.sessions),
        "cost_usd": round(sum(session.cost_usd for session in work.sessions), 6),
    }
    call = call_of(last, started, _reasons(work)).model_copy(update=whole)
    record_score(
        work.workspace, reading, work.rubric, counts, call,
        judge=judge, panel=panel, first_pass=None, cascade=record.model_dump(mode="json"),
    )  # fmt: skip
    last.give_up(f"{counts.states['ok']:,} of {reading.samples:,} samples are judged and kept")
    return CascadeResult(**result_fields(reading, counts, call), cascade=record)


def _reasons(work: Work) -> dict[str, int]:
    """Why the expert failed, the most frequent reasons."""
    spec = work.expert.spec
    reasons: Counter[str] = Counter()
    for ids in scan_ids(work.workspace.samples):
        failures = [i for i, state in work.ledger.states(spec, ids).items() if state != "ok"]
        reasons.update(judgement.reason for judgement in work.ledger.latest(spec, failures).values())
    return dict(reasons.most_common(MOST_REASONS))
