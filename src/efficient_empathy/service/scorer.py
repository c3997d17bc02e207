"""A judge and a policy that are served: from samples to what clients are told of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import ODDS, STD
from efficient_empathy.labelling.distillation.reference import Values
from efficient_empathy.labelling.prediction.predictor import Predictor
from efficient_empathy.labelling.subsets import sample_facts
from efficient_empathy.selection.policies import RuleSelector
from efficient_empathy.selection.policies.reasons import odds
from efficient_empathy.selection.settings import Decide

DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told of one sample: `content` as JSON has it; `values` are its features, shape (1, features).

    Where the judge failed, `fault` says why, and there is nothing else.
    """

    sample: Sample
    content: dict[str, Any]
    values: Values | None = None
    fault: str = ""


class Scorer:
    """Scores samples by the served judge and puts each into a subset by the policy, without a look at the others.

    By probabilities a sample is in its most probable subset; where `decide` is `scores`, the rules are applied to the
    expected scores.
    """

    def __init__(self, predictor: Predictor, decide: Decide = "auto") -> None:
        self.predictor = predictor
        self.decide = decide
        self.subsets = predictor.policy.subsets
        self._by_scores = RuleSelector(predictor.bound, "scores")

    def __call__(self, samples: Sequence[Sample]) -> list[Answer]:
        """One answer a sample, in order; one that the judge fails on costs no other."""
        try:
            return self._answers(samples)
        except UserError as error:
            if len(samples) == 1:
                return [Answer(samples[0], {}, fault=f"the judge failed: {error}")]
            return [answer for sample in samples for answer in self([sample])]

    def _answers(self, samples: Sequence[Sample]) -> list[Answer]:
        batch = self.predictor(samples)
        rows = self._decided(batch.frame, samples).iter_rows(named=True)
        return [
            Answer(sample, self._content(row), batch.values[i : i + 1])
            for i, (sample, row) in enumerate(zip(samples, rows, strict=True))
        ]

    def _decided(self, frame: pl.DataFrame, samples: Sequence[Sample]) -> pl.DataFrame:
        """The judge's figures with `subset` and `reason`."""
        if self.decide == "scores":
            facts = sample_facts(samples, self.predictor.policy)
            columns = frame.with_columns(pl.lit("ok").alias("state"))
            return self._by_scores.assign(columns.hstack(facts.get_columns()) if facts.width else columns)
        masses = frame.select(f"{ODDS}{subset}" for subset in self.subsets).to_numpy()
        subsets = pl.Series("subset", [self.subsets[place] for place in masses.argmax(axis=1)])
        return frame.with_columns(subsets, odds(self.subsets, singly=True).alias("reason"))

    def _content(self, row: dict[str, Any]) -> dict[str, Any]:
        axes = self.predictor.axes
        return {
            "sample_id": row["sample_id"],
            "turn": row["turn"],
            "scores": {axis: round(row[axis], DECIMALS) for axis in axes},
            "std": {axis: round(row[f"{axis}{STD}"], DECIMALS) for axis in axes},
            "p": {subset: round(row[f"{ODDS}{subset}"], DECIMALS) for subset in self.subsets},
            "subset": row["subset"],
            "reason": row["reason"],
            "outside": row["outside"],
            "outside_because": row["outside_because"],
        }
