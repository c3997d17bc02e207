"""The distilled judge's figures for samples and for conversations, and the settings of `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.run.table import ODDS, STD
from efficient_empathy.labelling.distillation.reference import Measuring, Reference, Values
from efficient_empathy.labelling.prediction.words import outside_because
from efficient_empathy.labelling.subsets import sample_facts, subset_probabilities
from efficient_empathy.scoring.judges.distilled import BUNDLED, DistilledJudge
from efficient_empathy.selection.policies import RulePolicy
from efficient_empathy.selection.settings import RulePolicySettings

Per = Literal["sample", "conversation"]


class PredictionSettings(RulePolicySettings):
    """Which judge predicts, and what its figures are about."""

    judge_model: Path | None = None
    """A folder that `distill` made; the judge in the package by default."""
    per: Per = "sample"
    """A row of the figures is a sample, or a conversation."""


@dataclass(frozen=True)
class Batch:
    """A row a sample, and each sample's features as the judge's reference has them; none without a reference."""

    frame: pl.DataFrame
    values: Values


class Predictor:
    """A distilled judge with a policy of rules, which turns its distributions into P(subset).

    `policy` is one in place of the settings'; `threads` are the judge's. Raises `UserError` for a damaged folder, and
    for a policy that does not fit the axes that the judge learnt.
    """

    def __init__(
        self, settings: PredictionSettings | None = None, policy: RulePolicy | None = None, threads: int = 0
    ) -> None:
        settings = settings or PredictionSettings()
        self.policy = policy or settings.load_rules()
        self.folder = settings.judge_model or BUNDLED
        self.judge = DistilledJudge(None, self.folder, threads)
        self.bound = self.policy.bind(self.judge.scales)
        self.compare_to(Reference.load(self.folder, self.judge))

    def compare_to(self, reference: Reference | None) -> None:
        """Measure samples as those of this reference were; none: do not."""
        self.reference = reference
        self._measure = Measuring(reference, self.folder, self.judge) if reference else None

    @property
    def axes(self) -> tuple[str, ...]:
        """What the judge scores, in its order."""
        return tuple(self.judge.scales)

    @property
    def schema(self) -> pl.Schema:
        """The columns of `Batch.frame`: per axis the expected score and its standard deviation, P of every subset,
        whether the sample lies outside what the judge learnt from (null where that cannot be told), and why."""
        figures = [*self.axes, *(f"{a}{STD}" for a in self.axes), *(f"{ODDS}{s}" for s in self.policy.subsets)]
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
        columns, values = self.columns(samples)
        return Batch(pl.DataFrame(columns).select(pl.col(n).cast(t) for n, t in self.schema.items()), values)

    def columns(self, samples: Sequence[Sample]) -> tuple[dict[str, Any], Values]:
        """The columns of `schema` for one sample or more, as lists and arrays, and the samples' features."""
        stack = self.judge.probabilities(samples)
        columns: dict[str, Any] = {
            "sample_id": [sample.id for sample in samples],
            "dialogue_id": [sample.dialogue_id for sample in samples],
            "turn": [sample.turn for sample in samples],
        }
        tables = []
        for place, (axis, (low, high)) in enumerate(self.judge.scales.items()):
            levels = np.arange(low, high + 1, dtype=np.float32)
            tables.append(stack[:, place, : len(levels)])
            mean = tables[-1] @ levels
            columns[axis] = mean
            columns[f"{axis}{STD}"] = np.sqrt(np.maximum(tables[-1] @ levels**2 - mean**2, 0))
        facts = sample_facts(samples, self.policy)
        masses = subset_probabilities(self.bound, tables, self.judge.dependence, facts)
        columns |= {f"{ODDS}{subset}": masses[:, i] for i, subset in enumerate(self.policy.subsets)}
        values = self._measure(samples, stack) if self._measure else np.zeros((len(samples), 0))
        because = outside_because(self.reference, values) if self.reference else None
        columns["outside"] = [reason is not None for reason in because] if because else [None] * len(samples)
        columns["outside_because"] = because or [None] * len(samples)
        return columns, values


def by_conversation(frame: pl.DataFrame, otherwise: str) -> pl.DataFrame:
    """A row a conversation, in the order of their first samples.

    `turns`, how many listener turns there are; the mean over them of every score and probability; `weakest_turn`, that
    with the highest probability of `otherwise`, the subset that is left out, and that probability, of equal ones the
    first; `outside`, how many of them lie outside what the judge learnt from.
    """
    figures = [c for c in frame.columns if f"{c}{STD}" in frame.columns or c.startswith(ODDS)]
    left_out = f"{ODDS}{otherwise}"
    return frame.group_by("dialogue_id", maintain_order=True).agg(
        pl.len().alias("turns"),
        *(pl.col(figure).mean() for figure in figures),
        pl.col("turn").get(pl.col(left_out).arg_max()).alias("weakest_turn"),
        pl.col(left_out).max().alias(f"weakest_{left_out}"),
        pl.when(pl.col("outside").is_null().all()).then(None).otherwise(pl.col("outside").sum()).alias("outside"),
    )
