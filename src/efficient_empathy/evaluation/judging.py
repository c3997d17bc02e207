"""Responses judged by an LLM: the one runner, with a ledger and a budget of the evaluation's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import Ending, Watcher
from efficient_empathy.scoring.judges.contract import STATES, Judge, Judgement, JudgeOptions, JudgeSpec
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.progress import ProgressDisplay
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import run_judge

REASONS_SHOWN = 3


@dataclass(frozen=True)
class JudgingResult:
    """What a judge has said of samples, by sample id; those not reached before it ended are absent.

    `requests` and `cost_usd` are what this call made and spent.
    """

    judgements: Mapping[str, Judgement]
    total: int
    """Distinct samples."""
    judge: str
    spec: JudgeSpec
    ending: Ending
    requests: int
    cost_usd: float

    @property
    def unjudged(self) -> int:
        """Distinct samples without a judgement."""
        return self.total - len(self.judgements)

    @property
    def states(self) -> dict[str, int]:
        """Distinct samples by the state of their judgement."""
        counts = Counter(judgement.state for judgement in self.judgements.values())
        return {state: counts[state] for state in STATES}

    @property
    def reasons(self) -> dict[str, int]:
        """The most frequent reasons of judgements that are not ok."""
        reasons = Counter(judgement.reason for judgement in self.judgements.values() if judgement.state != "ok")
        return dict(reasons.most_common(REASONS_SHOWN))


def evaluation_of(run: Path) -> Workspace:
    """Where a run's evaluation keeps what it has paid for: its ledger is apart from that of the run's own samples, and
    so is what `max_cost` bounds."""
    return Workspace(run / "evaluation")


def judge_samples(
    samples: Sequence[Sample],
    judge: str | Judge,
    rubric: Rubric,
    options: JudgeOptions | None,
    folder: Workspace,
    console: Console,
) -> JudgingResult:
    """Judge every distinct sample that `folder`'s ledger has no `ok` judgement of; each answer is kept as it comes.

    A `UserError` that ends it (dead endpoint, wrong key) comes after all that was received is kept.
    """
    folder.create()
    with folder.lock(lambda: console.print(f"Another process is judging in {folder.root}; waiting for it.")):
        instance = build_judge(judge, rubric, folder, options)
        if instance.note:
            console.print(instance.note)
        ids = list(dict.fromkeys(sample.id for sample in samples))
        with Ledger(folder.ledger) as ledger:
            done = len(ids) - len(ledger.missing(instance.spec, ids))
            display = ProgressDisplay(console, len(ids), done, instance.window)
            try:
                ending = run_judge(samples, instance, ledger, display, Watcher(console))
            except UserError as error:
                count = len(ids) - len(ledger.missing(instance.spec, ids))
                remains = f"{count:,} of {len(ids):,} judgements are made and kept; the same command goes on from there"
                raise UserError(f"{error} ({remains}.)") from error
            judgements = ledger.latest(instance.spec, ids)
    return JudgingResult(
        judgements, len(ids), instance.name, instance.spec, ending, display.requests, round(display.cost_usd, 6)
    )
