"""The stage `cascade`: the distilled judge answers where it is sure, an expert the rest, with a guarantee."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from efficient_empathy.dialogues import scan_ids, scan_samples
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import redact_all
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.f1 import F1Goal
from efficient_empathy.labelling.cascade.guarantee import ErrorGoal, Goal
from efficient_empathy.labelling.cascade.phases import Phases, UnfinishedError, Work, plan_cascade
from efficient_empathy.labelling.cascade.predictions import read_predictions
from efficient_empathy.labelling.cascade.record import CascadeRecord, CascadeResult, Plan, plan_text
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.subsets import bind_rules
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.ingestion import ingest
from efficient_empathy.scoring.judges.contract import CheckedJudge, JudgeOptions, JudgeSpec
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

CASCADE, DISTILLED = "cascade", "distilled"
PRICED = 256
"""The price of a judgement is estimated on so many samples."""


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

    The distilled judge scores everything; a plan is printed; the expert judges a random sample, from which it is proven
    up to which uncertainty the distilled judge may answer; the expert judges the rest; the guarantee is checked on
    other samples drawn at random. All judgements are in the run's ledger, so an interrupted cascade goes on where it
    stopped. With `dry_run` nothing is asked of the expert, and the record comes back alone. Raises `UserError` where
    the policy does not fit the rubric, and where the guarantee cannot be given by judging less than all samples, before
    anything is spent.
    """
    console = console or Console(stderr=True)
    rubric, options = rubric or Rubric.load(), options or {}
    bound = bind_rules(settings.load_rules(), rubric)
    check_options((DISTILLED, settings.expert), options)
    workspace.create()

    def expert() -> CheckedJudge:
        return build_judge(settings.expert, rubric, workspace, options, source)

    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        behind = expert()  # before anything is written, since it may not come about
        distilled = build_judge(DISTILLED, rubric, workspace, options)
        record = ingest(source, workspace, reading, force=force)
        keep_rubric(workspace, rubric)
        with Ledger(workspace.ledger) as ledger:
            work = Work(workspace, settings, rubric, expert, behind.spec, ledger, console, batches or BatchSettings())
            return _cascade(work, bound, record, distilled, behind, dry_run=dry_run)


def _cascade(
    work: Work,
    bound: BoundRules,
    reading: ReadRecord,
    distilled: CheckedJudge,
    expert: CheckedJudge,
    *,
    dry_run: bool,
) -> CascadeResult | CascadeRecord:
    started = time.monotonic()
    settings = work.settings
    goal = _goal(settings, bound.policy.subsets)
    plain = redact_all(settings.model_dump(mode="json"))
    record = CascadeRecord(goal=goal.text(), settings=plain, policy=bound.policy.definition())
    panel = Panel.of([expert.spec])
    with suppress(UnfinishedError):
        work.predict(distilled, reading.samples - reading.duplicates)
        predictions = read_predictions(work.workspace, work.ledger, distilled.spec, bound)
        plan = plan_cascade(
            predictions.probabilities(), goal, settings.risk,
            calibration=settings.calibration, check=settings.checks(len(predictions.ids)),
        )  # fmt: skip
        plan = plan.model_copy(update={"cost_usd": _price(plan, expert, work)})
        record = record.model_copy(update={"plan": plan})
        work.console.print(plan_text(record, expert.name))
        if dry_run:
            return record
        phases = Phases(work, predictions, goal, plan)
        phases.run()
        guarantee, check = phases.guarantee(), phases.check()
        own = guarantee.answered - (check.judgements if check else 0)
        proven = {"guarantee": guarantee, "check": check, "saved": round(own / plan.samples, 4)}
        record = record.model_copy(update=proven)
        content = [plain, record.policy, guarantee.model_dump(mode="json")]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        own_spec = JudgeSpec(
            judge=CASCADE, rubric=work.rubric.hash, settings={"guarantee": digest[:16], "of": distilled.spec.key}
        )
        panel = Panel.of([expert.spec, own_spec])
        phases.record_answers(own_spec, distilled.name)
    return _write_scores(work, reading, panel, record, f"{distilled.name}, then {expert.name}", started)


def _goal(settings: CascadeSettings, subsets: Sequence[str]) -> Goal:
    if settings.f1 is None:
        return ErrorGoal(settings.error, "the distilled judge's labels" if settings.method == "conformal" else "all")
    return F1Goal(settings.f1, subsets.index(settings.f1_subset), settings.f1_subset)


def _price(plan: Plan, expert: CheckedJudge, work: Work) -> float | None:
    """Dollars that the plan may cost, by the requests for the run's first samples; None where no price is known."""
    if expert.request is None or expert.endpoint.price is None:
        return None
    first = next(iter(scan_samples(work.workspace.samples, PRICED)))
    share = expert.endpoint.price.batch if work.batches.batch else 1.0
    dollars = [share * expert.endpoint.estimate(**expert.request(sample)).cost_usd for sample in first]
    return round(float(sum(dollars)) / len(dollars) * (plan.judgements + plan.check), 4)


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
    reasons: Counter[str] = Counter()
    for ids in scan_ids(work.workspace.samples):
        failures = [i for i, state in work.ledger.states(work.spec, ids).items() if state != "ok"]
        reasons.update(judgement.reason for judgement in work.ledger.latest(work.spec, failures).values())
    return dict(reasons.most_common(MOST_REASONS))
