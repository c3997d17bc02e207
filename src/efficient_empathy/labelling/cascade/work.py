"""What all phases of a cascade work with: the run, its ledger, and the judges that are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import Sample, scan_ids
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.predictions import read_scores
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.contract import CheckedJudge, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import Session
from efficient_empathy.scoring.stage import read_samples


class UnfinishedError(Exception):
    """Ctrl-C, the budget or a dead endpoint ended a phase: what is judged is kept, nothing is guaranteed."""


@dataclass(frozen=True)
class Asked:
    """A judge that is asked in some phases: `make` makes it anew for each, `first` is the one that was made before."""

    make: Callable[[], CheckedJudge]
    first: CheckedJudge

    @classmethod
    def of(cls, make: Callable[[], CheckedJudge]) -> Asked:
        """Raises `UserError` where it cannot be had."""
        return cls(make, make())

    @property
    def name(self) -> str:
        """The judge's."""
        return self.first.name

    @property
    def spec(self) -> JudgeSpec:
        """What its judgements are kept under."""
        return self.first.spec


@dataclass
class Work:
    """What all phases need; `sessions` has what every phase came to."""

    workspace: Workspace
    settings: CascadeSettings
    rubric: Rubric
    expert: Asked
    ledger: Ledger
    console: Console
    batches: BatchSettings = field(default_factory=BatchSettings)
    sessions: list[Session] = field(default_factory=list)

    def predict(self, judge: CheckedJudge, total: int) -> None:
        """Let the distilled judge score what the ledger lacks of all `total` samples. Raises `UnfinishedError`."""
        self._judge(judge, lambda: read_samples(self.workspace.samples), scan_ids(self.workspace.samples), total)

    def ask(self, asked: Asked, phase: str, ids: set[str]) -> None:
        """Let a judge score what the ledger lacks of the samples with these `ids`. Raises `UnfinishedError`."""
        missing = self.ledger.missing(asked.spec, list(ids))
        if not missing:
            return
        judge = asked.make()
        self.console.print(f"{phase}: {len(missing):,} samples for {judge.name}")

        def samples() -> Iterable[Sample]:
            return (sample for sample in read_samples(self.workspace.samples) if sample.id in missing)

        self._judge(judge, samples, [list(ids)], len(ids))

    def scores(self, asked: Asked, ids: list[str]) -> npt.NDArray[np.float64]:
        """What a judge has scored, (samples, axes); nan where there is no `ok` judgement."""
        return read_scores(self.ledger, asked.spec, ids, self.rubric.axis_names)

    def _judge(
        self,
        judge: CheckedJudge,
        samples: Callable[[], Iterable[Sample]],
        ids: Iterable[Sequence[str]],
        total: int,
    ) -> None:
        session = Session(self.ledger, self.console, total, self.batches)
        self.sessions.append(session)
        if not session.ask(judge, samples, ids) or session.under_way:
            raise UnfinishedError
