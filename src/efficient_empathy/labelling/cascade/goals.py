"""What may be promised of labels, as a number of wrong ones that may be left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.tolerance import fewest_of

Labels = npt.NDArray[np.intp]
Probabilities = npt.NDArray[np.float32]
Doubt = npt.NDArray[np.float32]
Wrong = npt.NDArray[np.bool_]
MEMBERS = 0.2
"""Of the risk of an F1 goal, the share that the bound on the subset's size takes."""


@dataclass(frozen=True)
class Known:
    """What is known when the promise is made: of `population` samples not judged on purpose, `drawn` at random.

    `members` of those drawn are in the subset that the goal is about, and `judged_members` of the samples that were
    judged on purpose; `total` is the number of all samples.
    """

    total: int
    population: int
    drawn: int
    members: int
    judged_members: int


class Goal(Protocol):
    """A promise: which labels count as wrong for it, how likely each is to be, and how many may be left."""

    def doubt(self, probabilities: Probabilities) -> Doubt:
        """How likely each most probable label is to be wrong, by the judge's own distribution."""
        ...

    def wrong(self, labels: Labels, truth: Labels) -> Wrong:
        """Which labels are wrong."""
        ...

    def allowed(self, known: Known, risk: float) -> tuple[int, float]:
        """How many wrong ones may be left, and the risk that is left for the bound on them."""
        ...

    def words(self) -> str:
        """The promise as one reads it."""
        ...


@dataclass(frozen=True)
class ErrorGoal:
    """The wrong subset for at most a share `error` of the labels, `of` which there are."""

    error: float
    of: str = "all"

    def doubt(self, probabilities: Probabilities) -> Doubt:
        """1 − P(most probable subset)."""
        doubt: Doubt = 1 - probabilities.max(axis=1)
        return doubt

    def wrong(self, labels: Labels, truth: Labels) -> Wrong:
        """Another subset than the expert's."""
        wrong: Wrong = labels != truth
        return wrong

    def allowed(self, known: Known, risk: float) -> tuple[int, float]:
        """⌊error × samples⌋."""
        return int(self.error * known.total + 1e-9), risk

    def words(self) -> str:
        """For example "the wrong subset for at most 5 % of all"."""
        return f"the wrong subset for at most {100 * self.error:.3g} % of {self.of}"


@dataclass(frozen=True)
class F1Goal:
    """F1 of one subset at least `f1`.

    With P members, F1 = 2 (P − FN) / (2 P − FN + FP) ≥ f as soon as f FP + (2 − f) FN ≤ 2 (1 − f) P, so as soon as
    FP + FN ≤ 2 (1 − f) P / (2 − f). P has a lower confidence bound from the random draw.
    """

    f1: float
    subset: int
    name: str

    def doubt(self, probabilities: Probabilities) -> Doubt:
        """P(the label is wrong about being in the subset)."""
        inside = probabilities[:, self.subset]
        return np.where(probabilities.argmax(axis=1) == self.subset, 1 - inside, inside)

    def wrong(self, labels: Labels, truth: Labels) -> Wrong:
        """In the subset on one side only."""
        wrong: Wrong = (labels == self.subset) != (truth == self.subset)
        return wrong

    def allowed(self, known: Known, risk: float) -> tuple[int, float]:
        """⌊2 (1 − f) P / (2 − f)⌋, a fifth of the risk being spent on P."""
        fewest = known.judged_members + fewest_of(known.population, known.drawn, known.members, MEMBERS * risk)
        return int(2 * (1 - self.f1) * fewest / (2 - self.f1) + 1e-9), (1 - MEMBERS) * risk

    def words(self) -> str:
        """For example "F1 of the sensibility subset at least 0.95"."""
        return f"F1 of the {self.name} subset at least {self.f1:g}"


def f1_score(labels: Labels, truth: Labels, subset: int) -> float:
    """2 TP / (2 TP + FP + FN) of one subset; 1 where neither side has a member."""
    mine, theirs = labels == subset, truth == subset
    members = int(mine.sum()) + int(theirs.sum())
    return 2 * int((mine & theirs).sum()) / members if members else 1.0
