"""The stage `cascade`: the distilled judge answers where it is sure, the expert judges the rest, with a promise."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.redaction import redact_all
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.goals import ErrorGoal, F1Goal, Goal
from efficient_empathy.labelling.cascade.guesses import read_guesses
from efficient_empathy.labelling.cascade.phases import Phases, UnfinishedError, Work
from efficient_empathy.labelling.cascade.planning import Plan, plan_cascade
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.cascade.words import plan_text
from efficient_empathy.scoring.ingest import ingest
from efficient_empathy.scoring.judges.checked import CheckedJudge
from efficient_empathy.scoring.judges.contract import JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge, check_options
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.record import ReadRecord
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.stage import REASONS_SHOWN, call_of, record_score, result_of, sample_ids, write
from efficient_empathy.selection.columns import AXES
from efficient_empathy.selection.grid import GridPolicy

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
    console: Console | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Score `source` with a promise on the subsets; `reading` is passed on to `ingest`.

    The distilled judge scores everything; a plan is printed; the expert judges a random sample, from which it is
    proven up to which doubt the distilled judge may answer; the expert judges the rest; what was promised is checked
    on other samples drawn at random. All judgements are in the run's ledger, so an interrupted cascade goes on where
    it stopped. Returns what `score` returns, and `cascade`: goal, settings, plan, promise, check. With `dry_run`
    nothing is asked of the expert, and only the plan comes back. Raises `UserError` where the promise cannot be made
    by judging less than all samples, before anything is spent.
    """
    console = console or Console(stderr=True)
    rubric, options = rubric or Rubric.load(), options or {}
    if {axis.name: axis.scale for axis in rubric.axes} != dict.fromkeys(AXES, (0, 10)):
        raise UserError("a cascade promises subsets: it needs a rubric with the axes sensibility and rationality, 0–10")
    check_options((DISTILLED, settings.expert), options)
    workspace.create()

    def expert() -> CheckedJudge:
        return build_judge(settings.expert, rubric, workspace, options, source)

    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        behind = expert()  # before anything is written, since it may not come about
        distilled = build_judge(DISTILLED, rubric, workspace, options)
        read = ingest(source, workspace, **reading)
        with Ledger(workspace.ledger) as ledger:
            work = Work(workspace, settings, rubric, expert, behind.spec, ledger, console)
            return _cascade(work, read, distilled, behind, dry_run=dry_run)


def _cascade(
    work: Work, read: ReadRecord, distilled: CheckedJudge, expert: CheckedJudge, *, dry_run: bool
) -> dict[str, Any]:
    started = time.monotonic()
    settings = work.settings
    policy = GridPolicy(settings.policy, settings.alpha, settings.beta)
    goal = _goal(settings, policy)
    facts: dict[str, Any] = {"goal": goal.words(), "settings": redact_all(settings.model_dump(mode="json"))}
    panel = Panel.of([expert.spec])
    with suppress(UnfinishedError):
        work.guess(distilled, read.samples - read.duplicates)
        guesses = read_guesses(work.workspace, work.ledger, distilled.spec, policy)
        plan = plan_cascade(
            guesses.probabilities(), goal, settings.risk,
            calibration=settings.calibration, check=settings.checks(len(guesses.ids)),
        )  # fmt: skip
        facts["plan"] = plan.record() | {"cost_usd": _price(plan, expert, work)}
        work.console.print(plan_text(facts, expert.name), markup=False, highlight=False)
        if dry_run:
            return {"dry_run": True, "judge": "cascade", **facts}
        phases = Phases(work, guesses, goal, plan)
        phases.run()
        promised, checked = phases.promised(), phases.checked()
        own = promised["answered"] - (checked["judged"] if checked else 0)
        facts |= {"promise": promised, "check": checked, "saved": round(own / plan.samples, 4)}
        digest = hashlib.sha256(json.dumps([facts["settings"], facts["promise"]], sort_keys=True).encode()).hexdigest()
        own_spec = JudgeSpec(
            judge=CASCADE, rubric=work.rubric.hash, settings={"promise": digest[:16], "of": distilled.spec.key}
        )
        panel = Panel.of([expert.spec, own_spec])
        phases.keep(panel.specs[1], distilled.name)
    return _written(work, read, panel, facts, f"{distilled.name}, then {expert.name}", started)


def _goal(settings: CascadeSettings, policy: GridPolicy) -> Goal:
    if settings.f1 is None:
        return ErrorGoal(settings.error, "the distilled judge's labels" if settings.method == "conformal" else "all")
    return F1Goal(settings.f1, policy.subsets.index(settings.subset), settings.subset)


def _price(plan: Plan, expert: CheckedJudge, work: Work) -> float | None:
    """Dollars that the plan may cost, by the requests for the run's first samples; None where no price is known."""
    if expert.request is None or expert.endpoint.price is None:
        return None
    first = next(iter(scan_samples(work.workspace.samples, PRICED)))
    dollars = [expert.endpoint.estimate(**expert.request(sample)).cost_usd for sample in first]
    return round(float(sum(dollars)) / len(dollars) * (plan.judged + plan.check), 4)


def _written(
    work: Work, read: ReadRecord, panel: Panel, facts: dict[str, Any], judge: str, started: float
) -> dict[str, Any]:
    """Write the scores and the manifest's record; what the stage returns."""
    written = write(work.workspace, work.ledger, panel, work.rubric)
    last = work.sessions[-1]
    call = call_of(last, started, _reasons(work)) | {
        "requests": sum(session.requests for session in work.sessions),
        "cost_usd": round(sum(session.cost_usd for session in work.sessions), 6),
    }
    about = {"judge": judge, "panel": panel, "first_pass": None, "cascade": facts}
    record_score(work.workspace, read, work.rubric, {**written, **call, **about})
    last.give_up(f"{written['states']['ok']:,} of {read.samples:,} samples are judged and kept")
    return {**result_of(read, written, call), "cascade": facts}


def _reasons(work: Work) -> dict[str, int]:
    """Why the expert failed, the most frequent reasons."""
    found: Counter[str] = Counter()
    for ids in sample_ids(work.workspace.samples):
        failed = [i for i, state in work.ledger.states(work.spec, ids).items() if state != "ok"]
        found.update(judgement.reason for judgement in work.ledger.latest(work.spec, failed).values())
    return dict(found.most_common(REASONS_SHOWN))
