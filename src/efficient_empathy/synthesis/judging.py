"""What the run's own judge and policy say of synthetic samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.foundation.run.stages import ReadingRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.stage import ScoredRun
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.record import READ, SCORE, ReadRecord, ScoreRecord
from efficient_empathy.scoring.rubric import read_rubric
from efficient_empathy.scoring.scores import score_frame, scores_schema
from efficient_empathy.scoring.session import Session
from efficient_empathy.selection.policies import RuleSelector, Selector


@dataclass(frozen=True)
class Judged:
    """By row, the `state` of the judgement, the axes, and the `subset` (null without a score); and what it took."""

    rows: pl.DataFrame
    ending: SessionEnding
    requests: int
    cost_usd: float


class RunJudge:
    """The judges of a run's first pass, asked as then, and the policy of its selection.

    `least` has the lowest scores that are good enough, by axis. Raises `UserError` where the judges cannot be asked
    again, for a policy that ranks samples against each other, and for an axis that the rubric does not have.
    """

    def __init__(self, run: ScoredRun, selector: Selector, least: Mapping[str, float]) -> None:
        if not isinstance(selector, RuleSelector):
            raise UserError(
                "the run's selection ranks samples against each other, so it says nothing of one sample: select by a "
                "policy with rules, such as paper, or leave the judge out with --no-judged"
            )
        self._run, self.selector = run, selector
        self.axes, self.least = run.rubric.axis_names, least
        if unknown := [axis for axis in least if axis not in self.axes]:
            raise UserError(f"--least {unknown[0]}=…: the run's rubric has the axes {', '.join(self.axes)}")
        run.same_judges({})

    def judge(self, samples: Sequence[Sample], console: Console) -> Judged:
        """Have them judged, whatever the ledger does not hold yet. Raises `UserError` for what ends all calls."""
        rubric, panel = self._run.rubric, self._run.first_panel
        ids = [sample.id for sample in samples]
        with Ledger(self._run.workspace.ledger) as ledger:
            session = Session(ledger, console, len(set(ids)))
            for one in self._run.same_judges({}):
                if not session.ask(one, lambda: samples, [ids]):
                    break
            session.give_up("what was judged is kept")
            distributions = panel.distributions(ledger)
            scores = score_frame(ids, ledger, panel, rubric, scores_schema(rubric, panel, distributions=distributions))
        rows = pl.DataFrame([sample.row() for sample in samples], schema=SAMPLE_SCHEMA)
        facts = rows.select(FACTS[name].expression.alias(name) for name in self.selector.policy.facts)
        table = pl.concat([scores, facts], how="horizontal")
        subsets = self.selector.plan(table.lazy()).select(pl.col("subset").cast(pl.String)).collect()
        rows = pl.concat([scores.select("state", *self.axes), subsets], how="horizontal")
        return Judged(rows, session.ending, session.requests, session.cost_usd)


def open_run(workspace: Workspace) -> ScoredRun:
    """A scored run; one whose scores were left behind by its synthetic samples gets them. Raises `UserError`."""
    record = workspace.stage(SCORE, ScoreRecord)
    if record is None:
        raise UserError(f"{workspace.root} has no scores: run `efficient-empathy score SOURCE` first")
    rubric = read_rubric(workspace, record.rubric.hash)
    if rubric is None:
        raise UserError(f"{workspace.rubrics} lacks the rubric of the scores: run `efficient-empathy score` again")
    run = ScoredRun.open(workspace, rubric)
    reading = workspace.stage(READ, ReadRecord)
    if reading is not None and reading.source == record.source and _is_behind(workspace, record):
        run = write_scores(run, reading)
    return run


def _is_behind(workspace: Workspace, record: ScoreRecord) -> bool:
    """Whether the samples are others than were scored, though they are as they were read."""
    return record.inputs != workspace.hashes([workspace.samples]) and workspace.whole(READ, workspace.samples)


def write_scores(run: ScoredRun, reading: ReadRecord) -> ScoredRun:
    """Write a run's scores for the samples that it has now, which were read as `reading` says."""
    fields = {name: getattr(reading, name) for name in ReadingRecord.model_fields}
    inputs = run.workspace.hashes([run.workspace.samples])
    run = replace(run, record=run.record.model_copy(update={**fields, "inputs": inputs}))
    with Ledger(run.workspace.ledger) as ledger:
        run.write(ledger, run.panel, run.names)
    return run
