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

from efficient_empathy.foundation.statistics.tolerance import fewest_of, tolerated_errors
from efficient_empathy.labelling.cascade.settings import Method
from efficient_empathy.labelling.subsets import Labels, Probabilities
from efficient_empathy.selection.shares import tie_hash

Uncertainty = npt.NDArray[np.float32]
"""How likely each sample's label is to be wrong, (samples,)."""
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
MEMBERS = 0.2
"""Of the risk of an F1 goal, the share that the bound on the subset's size takes."""


@dataclass(frozen=True)
class DrawFacts:
    """What the guarantee is given on: `draws` at random from the `population` of samples not judged on purpose.

    `members` of the draw are in the subset that the goal is about, and `judged_members` of the samples that were judged
    on purpose; `total` is the number of all samples.
    """

    total: int
    population: int
    draws: int
    members: int
    judged_members: int


class Goal(Protocol):
    """What may be guaranteed: which labels count as wrong, how likely each is to be, and how many may be left."""

    def uncertainty(self, probabilities: Probabilities) -> Uncertainty:
        """How likely each most probable label is to be wrong, by the judge's own distribution."""
        ...

    def wrong(self, labels: Labels, truth: Labels) -> Flags:
        """Which labels are wrong."""
        ...

    def allowance(self, facts: DrawFacts, risk: float) -> tuple[int, float]:
        """How many wrong ones may be left, and the risk that is left for the bound on them."""
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

    def allowance(self, facts: DrawFacts, risk: float) -> tuple[int, float]:
        """⌊error × samples⌋."""
        return int(self.error * facts.total + 1e-9), risk

    def text(self) -> str:
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

    def uncertainty(self, probabilities: Probabilities) -> Uncertainty:
        """P(the label is wrong about being in the subset)."""
        inside = probabilities[:, self.subset]
        return np.where(probabilities.argmax(axis=1) == self.subset, 1 - inside, inside)

    def wrong(self, labels: Labels, truth: Labels) -> Flags:
        """In the subset on one side only."""
        wrong: Flags = (labels == self.subset) != (truth == self.subset)
        return wrong

    def allowance(self, facts: DrawFacts, risk: float) -> tuple[int, float]:
        """⌊2 (1 − f) P / (2 − f)⌋, a fifth of the risk being spent on P."""
        fewest = facts.judged_members + fewest_of(facts.population, facts.draws, facts.members, MEMBERS * risk)
        return int(2 * (1 - self.f1) * fewest / (2 - self.f1) + 1e-9), (1 - MEMBERS) * risk

    def text(self) -> str:
        """For example "F1 of the sensibility subset at least 0.95"."""
        return f"F1 of the {self.name} subset at least {self.f1:g}"


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


def prove(
    goal: Goal, method: Method, error: float, risk: float, uncertainty: Uncertainty, labels: Labels, truth: Labels,
    draw: Places, bought: Flags,
) -> Guarantee:  # fmt: skip
    """The guarantee, from the samples that were judged: a random `draw`, and those `bought` on purpose.

    `labels` are the distilled judge's, `truth` the expert's, −1 where there is none. What was bought must have been
    chosen without a look at what was drawn: then the draw is a random one of the rest too.
    """
    rest = np.flatnonzero(~bought)
    place = np.full(len(uncertainty), -1, np.intp)
    place[rest] = np.arange(len(rest))
    here = draw[~bought[draw]]
    has_truth = truth[here] >= 0
    wrong = ~has_truth
    wrong[has_truth] = goal.wrong(labels[here][has_truth], truth[here][has_truth])
    subset = getattr(goal, "subset", -1)
    facts = DrawFacts(
        len(uncertainty), len(rest), len(here), int((truth[here] == subset).sum()), int((truth[bought] == subset).sum())
    )
    allowance, risk = goal.allowance(facts, risk)
    if method == "conformal":
        cut = conformal_cut(uncertainty[rest], place[here], wrong, error)
    else:
        cut = pac_cut(uncertainty[rest], place[here], wrong, allowance, risk)
    return Guarantee(cut, len(rest), len(here), int((~has_truth).sum()), allowance)
