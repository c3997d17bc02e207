"""What a cascade guarantees: which labels count as wrong, how many may be left, and what a random draw proves.

Uncertainty may be anything that is fixed before the random sample's judgements are looked at; a poor one costs calls,
never the guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.statistics.tolerance import tolerated_errors
from efficient_empathy.labelling.cascade.settings import Method
from efficient_empathy.labelling.subsets import Labels, Probabilities
from efficient_empathy.selection.shares import tie_hash

Uncertainty = npt.NDArray[np.float32]
"""How likely each sample's label is to be wrong, (samples,)."""
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Evidence:
    """What a guarantee is given on: all samples with the judge's distributions, and those that the expert has judged.

    `probabilities` of each subset, (samples, subsets). `truth` has the expert's labels, −1 where there is none; it has
    been asked about those `judged`: a random `draw` (places, without replacement), those `bought` on purpose, which
    must have been chosen without a look at what was drawn, and any others. What was bought aside, the draw is then a
    random one of the rest, its `population`.
    """

    probabilities: Probabilities
    truth: Labels
    judged: Flags
    draw: Places
    bought: Flags

    @property
    def labels(self) -> Labels:
        """The judge's most probable subsets."""
        labels: Labels = self.probabilities.argmax(axis=1)
        return labels

    @property
    def population(self) -> Places:
        """The places of the samples that were not bought."""
        return np.flatnonzero(~self.bought)

    @property
    def drawn(self) -> Flags:
        """Which samples were drawn and not bought."""
        flags = np.zeros(len(self.truth), np.bool_)
        flags[self.draw] = True
        return flags & ~self.bought


class Goal(Protocol):
    """What may be guaranteed: which labels count as wrong, how likely each is to be, and how many may be left."""

    def uncertainty(self, probabilities: Probabilities) -> Uncertainty:
        """How likely each most probable label is to be wrong, by the judge's own distribution."""
        ...

    def wrong(self, labels: Labels, truth: Labels) -> Flags:
        """Which labels are wrong."""
        ...

    def allowance(self, probabilities: Probabilities) -> int:
        """How many wrong ones may be left, as far as the judge's own distributions tell."""
        ...

    def cut(self, evidence: Evidence, risk: float) -> tuple[Cut, int]:
        """The loosest cut that keeps the goal but for a chance of `risk`, and how many wrong ones it may leave."""
        ...

    def text(self) -> str:
        """The goal as one reads it."""
        ...


@dataclass(frozen=True)
class ErrorGoal:
    """The wrong subset for at most a share `error` of the labels, `of` which there are."""

    error: float
    of: str = "all"

    def uncertainty(self, probabilities: Probabilities) -> Uncertainty:
        """1 − P(most probable subset)."""
        rest: Uncertainty = 1 - probabilities.max(axis=1)
        return rest

    def wrong(self, labels: Labels, truth: Labels) -> Flags:
        """Another subset than the expert's."""
        wrong: Flags = labels != truth
        return wrong

    def allowance(self, probabilities: Probabilities) -> int:
        """⌊error × samples⌋."""
        return int(self.error * len(probabilities) + 1e-9)

    def cut(self, evidence: Evidence, risk: float) -> tuple[Cut, int]:
        """See `pac_cut`."""
        allowed = self.allowance(evidence.probabilities)
        uncertainty, draw, wrong = shown(self, evidence)
        return pac_cut(uncertainty, draw, wrong, allowed, risk), allowed

    def text(self) -> str:
        """For example "the wrong subset for at most 5 % of all"."""
        return f"the wrong subset for at most {100 * self.error:.3g} % of {self.of}"


def f1_score(labels: Labels, truth: Labels, subset: int) -> float:
    """2 TP / (2 TP + FP + FN) of one subset; 1 where neither side has a member."""
    mine, theirs = labels == subset, truth == subset
    members = int(mine.sum()) + int(theirs.sum())
    return 2 * int((mine & theirs).sum()) / members if members else 1.0


@dataclass(frozen=True)
class Cut:
    """The distilled judge answers where the uncertainty is below `limit`; `errors` is what the draw showed there, of
    `tolerated`.
    """

    limit: float
    tolerated: int
    errors: int

    def answers(self, uncertainty: Uncertainty) -> Flags:
        """Which samples it answers."""
        below: Flags = uncertainty < self.limit
        return below


def pac_cut(uncertainty: Uncertainty, draw: Places, wrong: Flags, allowance: int, risk: float) -> Cut:
    """The loosest cut that leaves at most `allowance` wrong labels outside of the draw, but for a chance of `risk`.

    `uncertainty` is that of the whole population; `draw` has the places of a random sample of it, without replacement;
    `wrong` says which of its labels are wrong. A sample whose judging failed counts as wrong: failures are not at
    random, and so the bound holds whatever they would have been.
    """
    tolerance = tolerated_errors(len(uncertainty), len(draw), allowance, risk)
    at = np.sort(uncertainty[draw][wrong])
    limit = -np.inf if tolerance < 0 else np.inf if len(at) <= tolerance else float(at[tolerance])
    return Cut(limit, tolerance, int((at < limit).sum()))


def conformal_cut(uncertainty: Uncertainty, draw: Places, wrong: Flags, error: float) -> Cut:
    """The loosest cut whose answers are wrong for a share of at most `error` on average, by false discovery rate.

    Conformal labelling (arXiv:2510.14581): a sample outside of the draw has the p-value (1 + wrong ones of the draw
    with as little uncertainty) / (1 + drawn), and Benjamini and Hochberg's procedure takes those that it may. That
    p-value, of Jin and Candès (Selection by Prediction with Conformal p-values, JMLR 2023, theorem 6), lets the limit
    follow the judge's accuracy; the rate is controlled for samples that are drawn alike.
    """
    others = np.ones(len(uncertainty), np.bool_)
    others[draw] = False
    at, rest = np.sort(uncertainty[draw][wrong]), np.sort(uncertainty[others])
    if not len(rest):
        return Cut(-np.inf, 0, 0)
    p = (1 + np.searchsorted(at, rest, side="right")) / (1 + len(draw))
    passing = np.flatnonzero(p <= error * np.arange(1, len(rest) + 1) / len(rest))
    limit = float(np.nextafter(rest[passing[-1]], np.float32(np.inf))) if len(passing) else -np.inf
    errors = int((at < limit).sum())
    return Cut(limit, errors, errors)


def shuffle(ids: list[str], seed: int) -> Places:
    """The places of all samples in random order: by a seeded hash of their ids, so the same in every process."""
    order: Places = np.argsort(tie_hash(pl.Series(ids, dtype=pl.String), seed), kind="stable")
    return order


def most_uncertain(uncertainty: Uncertainty, among: Flags, count: int) -> Places:
    """The places of the `count` samples of greatest uncertainty among those flagged, the first of equals first."""
    places = np.flatnonzero(among)
    order: Places = places[np.argsort(-uncertainty[places], kind="stable")[:count]]
    return order


@dataclass(frozen=True)
class Guarantee:
    """What was proven: the cut, and what it was proven from.

    `population` samples were not judged on purpose before; `draws` of them were, at random, `failed` of those without a
    judgement, which count as wrong; `allowed` wrong ones may be left.
    """

    cut: Cut
    population: int
    draws: int
    failed: int
    allowed: int


def shown(goal: Goal, evidence: Evidence) -> tuple[Uncertainty, Places, Flags]:
    """What the draw shows: the population's uncertainties, the places of the draw in it, which of its labels are wrong.

    A sample without a judgement counts as wrong.
    """
    drawn, rest = evidence.drawn, evidence.population
    wrong = drawn.copy()
    has_truth = drawn & (evidence.truth >= 0)
    wrong[has_truth] = goal.wrong(evidence.labels[has_truth], evidence.truth[has_truth])
    draw = np.flatnonzero(drawn[rest])
    return goal.uncertainty(evidence.probabilities)[rest], draw, wrong[rest][draw]


def prove(goal: Goal, method: Method, error: float, risk: float, evidence: Evidence) -> Guarantee:
    """The guarantee, from the samples that were judged."""
    drawn = evidence.drawn
    if method == "conformal":
        cut, allowed = conformal_cut(*shown(goal, evidence), error), goal.allowance(evidence.probabilities)
    else:
        cut, allowed = goal.cut(evidence, risk)
    failed = int((evidence.truth[drawn] < 0).sum())
    return Guarantee(cut, len(evidence.population), int(drawn.sum()), failed, allowed)
