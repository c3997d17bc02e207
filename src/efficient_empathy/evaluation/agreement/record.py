"""`agreement.json`: how far raters agree, in every way that it is measured."""

from __future__ import annotations

from typing import ClassVar, Literal

from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.foundation.run.record import Estimate, Number, Part, Record

Estimates = dict[str, Estimate]
"""Figures by name."""
SUBSET = "subset"
"""What stands in place of an axis where it is the policy's subsets that are compared."""
TestVerdict = Literal["bias", "none", "untested"]
CeilingVerdict = Literal["within", "below", "above", "unknown"]


class Confusion(Part):
    """How many items each two levels were given to: `counts[first's level][second's level]`."""

    levels: tuple[str, ...] | tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


class RaterSummary(Part):
    """A rater, and what it scored: items by axis, and by state those that it could not score."""

    name: str
    kind: Literal["person", "judge"]
    source: str
    rounds: int
    items: dict[str, int]
    failed: dict[str, int]
    distributions: bool


class AxisSummary(Part):
    """An axis: lowest and highest of its scale, or every category; None where the values that occur are compared."""

    name: str
    scale: tuple[float, ...] | None


class PairAgreement(Part):
    """Two raters on one axis (`statistics.closeness.FIGURES`); `note` says why figures are undefined or mean little."""

    axis: str
    first: str
    second: str
    items: int
    figures: Estimates
    confusion: Confusion | None
    note: str


class GroupAgreement(Part):
    """Three raters or more on one axis, all at once, by the coefficients of `statistics.agreement`."""

    axis: str
    raters: tuple[str, ...]
    items: int
    figures: Estimates
    notes: tuple[str, ...]


class PeopleAgreement(Part):
    """The people's own agreement: the mean over every two, and over each against the median of the others."""

    names: tuple[str, ...]
    pairwise: Estimates
    leave_one_out: Estimates


class Shortfall(Part):
    """By how much a judge falls short of the people's own agreement (judge − people, on the same resamples)."""

    pairwise: Estimates
    leave_one_out: Estimates


class JudgeAgreement(Part):
    """A judge against the people: against the median of all, and in a person's place.

    The `verdict` is on `pairwise`'s quadratic kappa: `within` where the interval of the difference holds 0, `below`,
    `above`, or `unknown` where it cannot be had.
    """

    name: str
    items: int
    median: Estimates
    confusion: Confusion | None
    pairwise: Estimates
    leave_one_out: Estimates
    less: Shortfall
    verdict: CeilingVerdict


class Ceiling(Part):
    """What the people's own agreement on an axis is, and what each judge reaches of it."""

    axis: str
    people: PeopleAgreement
    judges: tuple[JudgeAgreement, ...]
    note: str


class SubsetPair(Part):
    """Two raters on subsets: `same`, Cohen's `kappa`, and `f1 SUBSET` with the first as the truth."""

    first: str
    second: str
    items: int
    figures: Estimates
    confusion: Confusion


class SubsetAgreement(Part):
    """Agreement on the subsets of a policy; `shares` by rater and subset."""

    policy: str
    thresholds: dict[str, float]
    names: tuple[str, ...]
    shares: dict[str, dict[str, float]]
    pairs: tuple[SubsetPair, ...]


class Bias(Part):
    """How far a judge is above its reference in a group of items, and how much more than elsewhere.

    `shift` is the mean of judge − reference, `excess` that less the mean of all other items. Holm's adjustment is over
    all tests of the file.
    """

    axis: str
    judge: str
    reference: str
    kind: str
    """length, category or position."""
    group: str
    items: int
    dialogues: int
    shift: Estimate
    excess: Estimate
    p: Number
    p_holm: Number
    verdict: TestVerdict


class Bin(Part):
    """A bin of the reliability diagram: mean probability of the most probable level, and how often it was right."""

    low: float
    high: float
    items: int
    confidence: float
    observed: Estimate


class Level(Part):
    """A level's predicted and observed share."""

    level: str
    predicted: float
    observed: float


class Chance(Part):
    """The calibration error if the probabilities were exact: its mean, and its 95th percentile."""

    mean: float
    high: float


class Sharpness(Part):
    """Mean entropy in bits, and on axes the mean standard deviation."""

    entropy: float
    std: Number = None


class Calibration(Part):
    """Whether a judge's probabilities on an axis, or for the subset, mean what they say.

    `figures`: `ece`, the expected calibration error of the most probable level (Naeini et al. 2015, as Guo et al. 2017
    use it, 10 bins of equal width), `confidence` (its mean probability), `accuracy` (how often the reference says the
    same). `left_out` items have a score of the reference that is none of the levels.
    """

    axis: str
    judge: str
    reference: str
    items: int
    left_out: int
    figures: Estimates
    chance: Chance
    bins: tuple[Bin, ...]
    levels: tuple[Level, ...]
    sharpness: Sharpness


class Repeatability(Part):
    """How far a rater of several rounds agrees with itself on an axis, or on the subset.

    `figures`: means over every two rounds of `closeness.FIGURES`; `all_same`, the share of items with one score in all
    rounds; `spread`, the standard deviation of one item's rounds, pooled over items. On the subset `all_same` alone.
    """

    rater: str
    axis: str
    rounds: int
    items: int
    figures: Estimates


class AgreementRecord(Record):
    """`agreement.json`."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "agreement.json"
    REMEDY: ClassVar[str] = "`efficient-empathy agreement`"

    raters: tuple[RaterSummary, ...]
    people: tuple[str, ...]
    items: int
    dialogues: int
    axes: tuple[AxisSummary, ...]
    pairs: tuple[PairAgreement, ...]
    together: tuple[GroupAgreement, ...]
    ceiling: tuple[Ceiling, ...]
    subsets: SubsetAgreement | None
    bias: tuple[Bias, ...]
    calibration: tuple[Calibration, ...]
    repeats: tuple[Repeatability, ...]
    notes: tuple[str, ...]
    settings: AgreementSettings
    seconds: float


class AgreementResult(AgreementRecord):
    """What `measure_agreement` wrote, and where."""

    output: dict[Literal["json", "html"], str]
