"""A judge and a policy that are served: from samples to what clients are told of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import ODDS, STD
from efficient_empathy.labelling.distillation.reference import Values
from efficient_empathy.labelling.prediction.predictor import Predictor
from efficient_empathy.labelling.subsets import sample_facts
from efficient_empathy.selection.policies import RuleSelector
from efficient_empathy.selection.policies.reasons import odds_text
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
        self._rules = RuleSelector(predictor.bound, "scores")

    def __call__(self, samples: Sequence[Sample]) -> list[Answer]:
        """One answer a sample, in order; one that the judge fails on costs no other."""
        try:
            return self._answers(samples)
        except UserError as error:
            if len(samples) == 1:
                return [Answer(samples[0], {}, fault=f"the judge failed: {error}")]
            return [answer for sample in samples for answer in self([sample])]

    def _answers(self, samples: Sequence[Sample]) -> list[Answer]:
        columns, values = self.predictor.columns(samples)
        decided = self._by_rules(samples, columns) if self.decide == "scores" else self._by_probability(columns)
        axes, rounded = self.predictor.axes, {name: _rounded(column) for name, column in columns.items()}
        return [
            Answer(
                sample,
                {
                    "sample_id": sample.id,
                    "turn": sample.turn,
                    "scores": {axis: rounded[axis][i] for axis in axes},
                    "std": {axis: rounded[f"{axis}{STD}"][i] for axis in axes},
                    "p": {subset: rounded[f"{ODDS}{subset}"][i] for subset in self.subsets},
                    "subset": subset,
                    "reason": reason,
                    "outside": columns["outside"][i],
                    "outside_because": columns["outside_because"][i],
                },
                values[i : i + 1],
            )
            for i, (sample, (subset, reason)) in enumerate(zip(samples, decided, strict=True))
        ]

    def _by_probability(self, columns: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The most probable subset of each sample, and the odds."""
        masses = np.stack([columns[f"{ODDS}{subset}"] for subset in self.subsets], axis=1)
        for row, place in zip(masses, masses.argmax(axis=1), strict=True):
            yield self.subsets[place], odds_text(dict(zip(self.subsets, row.tolist(), strict=True)), singly=True)

    def _by_rules(self, samples: Sequence[Sample], columns: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The subset and the reason of each sample by the rules on its scores."""
        facts = sample_facts(samples, self.predictor.policy)
        ids = [sample.id for sample in samples]
        scores = {axis: pl.Series(columns[axis], dtype=pl.Float32) for axis in self.predictor.axes}
        frame = pl.DataFrame({"sample_id": ids, "state": ["ok"] * len(ids), **scores})
        frame = self._rules.assign(frame.hstack(facts.get_columns()) if facts.width else frame)
        yield from frame.select("subset", "reason").iter_rows()


def _rounded(column: Any) -> Any:
    """Numbers as JSON has them; all else as it is."""
    if not isinstance(column, np.ndarray):
        return column
    return [round(value, DECIMALS) for value in column.astype(np.float64).tolist()]
