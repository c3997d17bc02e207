"""What the distilled judge expects of samples: figures per sample and per conversation, and what it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.distillation.reference import Measuring, Reference, Values
from efficient_empathy.labelling.prediction.settings import PredictionSettings
from efficient_empathy.labelling.prediction.words import outside_because
from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.dependence import subset_masses
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge
from efficient_empathy.selection.columns import AXES
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.policy import make_policy
from efficient_empathy.selection.rules import DISCARD, RULES

PLACES = ("sample_id", "dialogue_id", "turn")


@dataclass(frozen=True)
class Batch:
    """A row a sample, and each sample's features as the judge's reference has them; none without a reference."""

    frame: pl.DataFrame
    values: Values


class Predictor:
    """A distilled judge with a policy whose thresholds turn its distributions into P(subset).

    Raises `UserError` for a damaged folder, a judge of other axes than sensibility and rationality, and a policy
    without thresholds.
    """

    def __init__(self, settings: PredictionSettings | None = None) -> None:
        settings = settings or PredictionSettings()
        if settings.policy not in RULES:
            raise UserError(
                f"predict has no policy {settings.policy!r}: choose one of {', '.join(RULES)}, whose thresholds hold "
                "for every sample by itself"
            )
        made = make_policy(settings.policy, alpha=settings.alpha, beta=settings.beta)
        assert isinstance(made, GridPolicy)
        self.policy = made
        self.folder = settings.judge_model or BUNDLED
        self.judge = DistilledJudge(Rubric.load(), self.folder)
        self.reference = Reference.load(self.folder, self.judge)
        self._measure = Measuring(self.reference, self.folder, self.judge) if self.reference else None
        grid = made.cells()
        self._cells = np.stack([grid == subset for subset in made.subsets])

    @property
    def schema(self) -> pl.Schema:
        """The columns of `Batch.frame`: per axis the expected score and its standard deviation, P of every subset,
        whether the sample lies outside what the judge learnt from (null where that cannot be told), and why."""
        figures = [*AXES, *(f"{axis}_std" for axis in AXES), *(f"p_{subset}" for subset in self.policy.subsets)]
        return pl.Schema(
            {
                "sample_id": pl.String(), "dialogue_id": pl.String(), "turn": pl.Int32(),
                **dict.fromkeys(figures, pl.Float32()), "outside": pl.Boolean(), "outside_because": pl.String(),
            }
        )  # fmt: skip

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """The judge's figures of samples, in order."""
        if not samples:
            return Batch(self.schema.to_frame(), np.zeros((0, len(self.reference.features) if self.reference else 0)))
        tables = self.judge.probabilities(samples)
        order = [[head.name for head in self.judge.config.axes].index(axis) for axis in AXES]
        columns: dict[str, Any] = {
            "sample_id": [sample.id for sample in samples],
            "dialogue_id": [sample.dialogue_id for sample in samples],
            "turn": [sample.turn for sample in samples],
        }
        levels = np.arange(tables.shape[-1], dtype=np.float32)
        for axis, place in zip(AXES, order, strict=True):
            mean = tables[:, place] @ levels
            columns[axis] = mean
            columns[f"{axis}_std"] = np.sqrt(np.maximum(tables[:, place] @ levels**2 - mean**2, 0))
        first, second = (tables[:, place] for place in order)
        masses = subset_masses((first, second), self._cells, np.asarray(self.judge.dependence or 0.0))
        columns |= {f"p_{subset}": masses[:, i] for i, subset in enumerate(self.policy.subsets)}
        values = self._measure(samples, tables) if self._measure else np.zeros((len(samples), 0))
        because = outside_because(self.reference, values) if self.reference else None
        columns["outside"] = [reason is not None for reason in because] if because else None
        columns["outside_because"] = because
        return Batch(pl.DataFrame(columns).select(pl.col(n).cast(t) for n, t in self.schema.items()), values)


def by_conversation(frame: pl.DataFrame) -> pl.DataFrame:
    """A row a conversation, in the order of their first samples.

    `turns`, how many listener turns there are; the mean over them of every figure; `weakest_turn`, that with the
    highest P(discard), and that probability, of equal ones the first; `outside`, how many of them lie outside what the
    judge learnt from.
    """
    figures = [c for c in frame.columns if c in AXES or c.startswith("p_")]
    weakest = pl.col(f"p_{DISCARD}").arg_max()
    return frame.group_by("dialogue_id", maintain_order=True).agg(
        pl.len().alias("turns"),
        *(pl.col(figure).mean() for figure in figures),
        pl.col("turn").get(weakest).alias("weakest_turn"),
        pl.col(f"p_{DISCARD}").max().alias("weakest_p_discard"),
        pl.when(pl.col("outside").is_null().all()).then(None).otherwise(pl.col("outside").sum()).alias("outside"),
    )
