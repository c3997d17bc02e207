"""What people corrected as something to learn from: their last words on a sample, pooled, and how much they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.run.corrections import Corrections, score_fits
from efficient_empathy.scoring.rubric import Axis, Rubric

Scores = npt.NDArray[np.float64]
"""(samples, axes); NaN where there is none."""
Table = Sequence[float]


@dataclass(frozen=True)
class Spoken:
    """Of one sample by axis: the mean score of people, and that of the judge; NaN where there is none."""

    people: tuple[float, ...]
    judge: tuple[float, ...]


class People:
    """What stands of people's scores on the rubric's axes.

    Of several people each one's last word counts the same, as of rounds of judgement: the target is their distribution.
    """

    def __init__(self, corrections: Corrections, rubric: Rubric) -> None:
        self._standing, self._axes = corrections.standing, rubric.axes

    def over(self, sample: str, judged: list[Table] | None) -> tuple[list[Table] | None, Spoken]:
        """A sample's distributions, people's in place of the judge's; None where an axis has neither."""
        it = self._standing.get(sample)
        votes = [
            [vote for vote in (it.votes.get(axis.name, {}) if it else {}).values() if score_fits(vote, axis.scale)]
            for axis in self._axes
        ]
        of_judge: list[Table | None] = [*judged] if judged else [None] * len(votes)
        tables: list[Table | None] = [
            np.mean([target_of(vote, axis) for vote in own], axis=0).tolist() if own else table
            for axis, own, table in zip(self._axes, votes, of_judge, strict=True)
        ]
        means = tuple(float(np.mean(own)) if own else np.nan for own in votes)
        judge = tuple(float(np.dot(judged[i], axis.values)) if judged else np.nan for i, axis in enumerate(self._axes))
        whole = [table for table in tables if table is not None]
        return (whole if len(whole) == len(tables) else None), Spoken(means, judge)


@dataclass(frozen=True)
class Taught:
    """What people have corrected of the examples, in their order; a corrected score counts `weight` times."""

    people: Scores
    judge: Scores
    weight: float

    @classmethod
    def of(cls, spoken: Sequence[Spoken], weight: float) -> Taught:
        """From what was said of each."""
        return cls(np.array([one.people for one in spoken]), np.array([one.judge for one in spoken]), weight)

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """How much each target counts, (samples × axes)."""
        return np.where(np.isnan(self.people), 1.0, self.weight).astype(np.float32)

    def figures(self, held_out: Scores, rubric: Rubric) -> dict[str, Any]:
        """How near the student comes to people on samples that it did not see, beside the judge that it learnt from.

        `held_out` are its scores, (samples × axes). By axis the number of corrected `samples`, the mean absolute error
        of the student, `mae`, and that of the judge, `judge_mae`, where it has scores.
        """
        axes: dict[str, Any] = {}
        for i, name in enumerate(rubric.axis_names):
            said = ~np.isnan(self.people[:, i])
            both = said & ~np.isnan(self.judge[:, i])
            if said.any():
                axes[name] = {
                    "samples": int(said.sum()),
                    "mae": _error(held_out[said, i], self.people[said, i]),
                    "judge_mae": _error(self.judge[both, i], self.people[both, i]) if both.any() else None,
                }
        return {"samples": int((~np.isnan(self.people)).any(axis=1).sum()), "weight": self.weight, "axes": axes}


def _error(scores: Scores, truth: Scores) -> float:
    return round(float(np.abs(scores - truth).mean()), 4)


def target_of(score: float, axis: Axis) -> list[float]:
    """A score as a distribution: all on one whole number, or shared between the two neighbours of a mean."""
    position = min(max(score - axis.scale[0], 0.0), len(axis.values) - 1.0)
    low = int(position)
    target = [0.0] * len(axis.values)
    target[low] = 1 - (position - low)
    if position > low:
        target[low + 1] = position - low
    return target
