"""The stage `refresh`: judge again where a score is uncertain, and pool what was said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds
from efficient_empathy.foundation.permissions import require
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.record import (
    RefreshParameters,
    RefreshPlan,
    RefreshRecord,
    RefreshResult,
    choice_text,
)
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.labelling.refresh.uncertainty import Choice, choose, selector_at_stake
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judge, JudgeOptions
from efficient_empathy.scoring.judges.permissions import judge_needs
from efficient_empathy.scoring.judges.registry import build_judge, check_options, share_budget
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.plan import plan_samples, together
from efficient_empathy.scoring.record import READ, SCORE, ReadRecord, ScoreCounts, ScoreRecord
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import Session
from efficient_empathy.scoring.stage import mean_disagreement, write
from efficient_empathy.selection.policies import Selector

STAGE = RefreshRecord.STAGE
FILE = "refresh.parquet"


def refresh(
    workspace: Workspace,
    settings: RefreshSettings | None = None,
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    judge: Judge | None = None,
    skip_finished: bool = False,
    console: Console | None = None,
) -> RefreshResult:
    """Judge samples of a scored run again, and write `scores.parquet` anew from all that was said of each.

    `settings.which`: `uncertain`; `failed`: those without a score; `all`; `none`: nobody is asked, and the scores are
    those of the first pass again. `settings.judge`, or `judge` as an object, gives `rounds` judgements of each sample;
    without it, the judges of the first pass give as many beyond their first. Judgements that the ledger holds count,
    so the same call pays for nothing twice, and one with more `rounds` adds to them. With the pool `first`, the judge
    asked here comes before the others.

    What was chosen stands in `refresh.parquet`, a row a sample: `sample_id`, `why` (null: not chosen), `subset` as it
    was. A call that did not come to its end is taken up with the same choice; one that did is not repeated with
    `skip_finished`.

    Raises `UserError` as `score` does, and where the run was never scored.
    """
    console = console or Console(stderr=True)
    settings, rubric = settings or RefreshSettings(), rubric or Rubric.load()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        run = ScoredRun.open(workspace, rubric)
        run.mend()
        if settings.which == "none":
            return _first_pass_again(run)
        rounds = Rounds(run, settings, options or {}, judge)
        return _refresh(run, rounds, settings, console, skip_finished=skip_finished)


def plan_refresh(
    workspace: Workspace,
    settings: RefreshSettings | None = None,
    rubric: Rubric | None = None,
    options: JudgeOptions | None = None,
    *,
    judge: Judge | None = None,
) -> RefreshPlan:
    """What `refresh` would ask for. Writes nothing."""
    settings = settings or RefreshSettings()
    run = ScoredRun.open(workspace, rubric or Rubric.load())
    selector = selector_at_stake(settings, RunTable(workspace).require("scores"))
    rounds = Rounds(run, settings, options or {}, judge)
    with TemporaryDirectory() as folder:
        choice = choose(workspace, settings.which, settings, selector, Path(folder) / FILE)
        plans = [plan_samples(choice.samples(), one, workspace, _judge_text(one)) for one in rounds]
    return RefreshPlan(**dict(together(plans)), which=settings.which, targets=choice.count, why=choice.why)


@dataclass(frozen=True)
class ScoredRun:
    """A scored run: whose judgements its scores are made of, and who judged every sample of it in the first place."""

    workspace: Workspace
    rubric: Rubric
    record: ScoreRecord

    @classmethod
    def open(cls, workspace: Workspace, rubric: Rubric) -> ScoredRun:
        """The run. Raises `UserError` where it was not scored, or by another rubric."""
        record = workspace.stage(SCORE, ScoreRecord)
        if record is None or not workspace.scores.exists():
            raise UserError(f"{workspace.root} has no scores to refresh: run `efficient-empathy score SOURCE` first")
        workspace.require(workspace.samples, "score SOURCE")
        if record.rubric.hash != rubric.hash:
            raise UserError(
                f"{workspace.root} was scored by the rubric {record.rubric.hash}: give its file with --rubric"
            )
        return cls(workspace, rubric, record)

    def mend(self) -> None:
        """Write the scores again from the ledger, where a refresh was killed before it had said that they are new."""
        if self.workspace.fault(self.workspace.scores):
            with Ledger(self.workspace.ledger) as ledger:
                write(self.workspace, ledger, self.panel, self.rubric)

    @property
    def panel(self) -> Panel:
        """Whose judgements its scores are made of."""
        return self.record.panel

    @property
    def first_panel(self) -> Panel:
        """Whose they were before any refresh."""
        return self.record.first_pass.panel if self.record.first_pass else self.record.panel

    @property
    def names(self) -> list[str]:
        """The names of all its judges."""
        return self.record.judge.split(" + ")

    def same_judges(self, options: JudgeOptions) -> list[CheckedJudge]:
        """The judges of the first pass, asked as then unless `options` say otherwise."""
        judges = self.record.first_pass.judges if self.record.first_pass else ()
        references = [one.reference for one in judges if one.reference is not None]
        if not references or len(references) < len(judges):
            raise UserError(
                f"{self.workspace.root} does not tell how its judge can be asked again: name a judge with --judge"
            )
        check_options([one.judge for one in references], options)
        changes = {key: value for key, value in options.items() if value is not None}
        bounds = Bounds((self.workspace.root.resolve(),))
        needs = [need for one in references for need in judge_needs(one, changes, bounds, changes)]
        require(f"the run {self.workspace.root}, as it was scored,", needs)
        again = [
            one.model_copy(update={"settings": {k: v for k, v in one.settings.items() if k not in changes}})
            for one in references
        ]
        return [build_judge(one, self.rubric, self.workspace, changes) for one in again]

    def write(self, ledger: Ledger, panel: Panel, names: Iterable[str]) -> ScoreCounts:
        """Write the scores of `panel`, whose judges have these names, and record it; what is counted now."""
        counts = write(self.workspace, ledger, panel, self.rubric)
        pooling = {"pool": panel.pool, "disagreement": mean_disagreement(self.workspace)} if panel.pools else {}
        judges = " + ".join(dict.fromkeys(names))
        changes = {"pool": None, "disagreement": None, **pooling, "judge": judges, "panel": panel}
        self.workspace.record(SCORE, self.record.model_copy(update={**counts.fields(), **changes}))
        return counts


class Rounds:
    """Who is asked, in which rounds, and the panel that comes of it."""

    def __init__(self, run: ScoredRun, settings: RefreshSettings, options: JudgeOptions, judge: Judge | None) -> None:
        if settings.which == "failed" and judge is None and settings.judge is None:
            raise UserError(
                "those that failed are asked again by the same judges when you run `score` again: name another "
                "judge with --judge"
            )
        if settings.judge is not None:
            check_options([settings.judge], options)
        other = judge or settings.judge
        judges = [build_judge(other, run.rubric, run.workspace, options)] if other else run.same_judges(options)
        rounds = settings.rounds
        last = {one.spec: rounds + (one.spec in run.first_panel.specs) for one in judges}
        self.judges = [one for one in judges if last[one.spec] == 1 or not one.repeats_itself]
        if not self.judges:
            raise UserError(
                f"{' + '.join(one.name for one in judges)} would only repeat itself, however often it is asked: name "
                "another judge with --judge, such as openai:MODEL"
            )
        share_budget(self.judges)
        self.numbers = [range(last[one.spec] - rounds + 1, last[one.spec] + 1) for one in self.judges]
        new = tuple(one.spec for one in self)
        old = run.panel.specs
        pool = settings.pool or (run.panel.pool if len(old) > 1 else "first" if settings.which == "failed" else "mean")
        self.specs = new
        self.panel = Panel.of(dict.fromkeys((*new, *old) if pool == "first" else (*old, *new)), pool)

    def __iter__(self) -> Iterator[CheckedJudge]:
        """Each judge in each of its rounds."""
        for one, numbers in zip(self.judges, self.numbers, strict=True):
            for number in numbers:
                yield one.in_round(number)

    @property
    def note(self) -> str:
        """What a user should know before paying; empty if nothing."""
        samples = [one.endpoint is None or one.spec.settings.get("temperature") != 0 for one in self.judges]
        if all(samples) or all(numbers[-1] == 1 for numbers in self.numbers):
            return ""
        return "At temperature 0 a judge mostly repeats itself: --temperature 0.7 tells more."


def _refresh(
    run: ScoredRun, rounds: Rounds, settings: RefreshSettings, console: Console, *, skip_finished: bool
) -> RefreshResult:
    started = time.monotonic()
    workspace = run.workspace
    selector = selector_at_stake(settings, RunTable(workspace).require("scores"))
    reading = workspace.stage(READ, ReadRecord)
    parameters = RefreshParameters(
        which=settings.which,
        uncertainty=settings.model_dump(mode="json", include={"disagreement", "reach", "uncertainty"}),
        selector=selector.parameters() if selector else None,
        specs=rounds.specs,
        pool=rounds.panel.pool,
        source=reading.source if reading else None,
        synthetic=reading.synthetic_digest if reading else None,
    )
    last = workspace.last(STAGE, RefreshRecord)
    if last is not None and (last.parameters != parameters or not workspace.whole(STAGE, workspace.root / FILE)):
        last = None
    if last is not None and last.ending == "complete" and skip_finished:
        return RefreshResult.of(last, skipped=True)
    choice = _choice(run, settings, selector, last, console)
    start = RefreshRecord(
        parameters=parameters, which=settings.which, ending="begun", targets=choice.count, why=choice.why,
        policy=selector.policy.name if selector else None,
        thresholds=selector.policy.thresholds if selector else {},
        samples=run.record.samples,
    )  # fmt: skip
    workspace.record(STAGE, start, [workspace.root / FILE])
    if rounds.note:
        console.print(rounds.note)
    panel = rounds.panel if choice.count else run.panel
    with Ledger(workspace.ledger) as ledger:
        if panel.pools and run.panel.distributions(ledger):
            console.print(
                "A pooled score has no distribution, so `select` goes by the scores; --pool first keeps them."
            )
        session = Session(ledger, console, choice.distinct())
        for one in rounds if choice.count else ():
            console.print(_judge_text(one))
            if not session.ask(one, choice.samples, choice.ids()):
                break
        counts = run.write(ledger, panel, [*run.names, *(one.name for one in rounds.judges)])
    record = start.model_copy(
        update={
            "ending": session.ending,
            "judged": session.judgements,
            **choice.outcome(selector),
            "states": counts.states,
            "unjudged": counts.unjudged,
            "pool": panel.pool,
            "specs": panel.specs,
            "requests": session.requests,
            "cost_usd": round(session.cost_usd, 6),
            "seconds": round(time.monotonic() - started, 2),
        }
    )
    workspace.record(STAGE, record)
    session.give_up(f"{session.judgements:,} judgements were made and kept")
    return RefreshResult.of(record)


def _choice(
    run: ScoredRun, settings: RefreshSettings, selector: Selector | None, last: RefreshRecord | None, console: Console
) -> Choice:
    """The samples to judge again: those of the `last` call with these parameters if it did not end, else new ones."""
    workspace, path = run.workspace, run.workspace.root / FILE
    if last is not None and last.ending != "complete":
        choice = Choice(workspace, path)
        console.print(f"Going on with the {choice.count:,} samples that were chosen before.")
        return choice
    choice = choose(workspace, settings.which, settings, selector, path)
    console.print(choice_text(settings.which, choice.count, choice.why))
    return choice


def _judge_text(judge: CheckedJudge) -> str:
    """A judge, and the round that it is in, if not its first."""
    return f"{judge.name}, round {judge.spec.round}" if judge.spec.round > 1 else judge.name


def _first_pass_again(run: ScoredRun) -> RefreshResult:
    started = time.monotonic()
    first = run.record.first_pass
    with Ledger(run.workspace.ledger) as ledger:
        counts = run.write(ledger, run.first_panel, [one.name for one in first.judges] if first else run.names)
    record = RefreshRecord(
        parameters=None,
        which="none",
        ending="complete",
        samples=run.record.samples,
        states=counts.states,
        unjudged=counts.unjudged,
        pool=run.first_panel.pool,
        specs=run.first_panel.specs,
        seconds=round(time.monotonic() - started, 2),
    )
    run.workspace.record(STAGE, record)
    return RefreshResult.of(record)
