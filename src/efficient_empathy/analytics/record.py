"""What `analytics.json` has: written by the stage, read by the studio and by whoever shows it."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue

from efficient_empathy.foundation.run.record import Part, Record, StageRecord

DIGITS = 6
Level = Literal["ok", "watch", "alarm", "unknown"]
"""unknown: there are too few samples to see a shift that would be an alarm."""
Verdict = Literal["over", "under", "even", "untested"]


def _round(value: Any) -> Any:
    """A number to six digits, so that the order of sums does not show; None unless finite."""
    if not isinstance(value, float) or isinstance(value, bool):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


Figure = Annotated[float | None, BeforeValidator(_round)]
"""A number, None where it cannot be told."""


class Interval(Part):
    """A figure and its interval."""

    value: Figure
    low: Figure
    high: Figure


class DifferenceFromOthers(Interval):
    """A difference from all others; `p_holm` is over all groups and axes."""

    p: Figure = None
    p_holm: Figure = None


class GroupAxis(Interval):
    """A group's mean on one axis; `histogram` counts its scores by whole number."""

    median: Figure
    std: Figure
    histogram: list[int]
    from_others: DifferenceFromOthers | None = None


class GroupShare(Part):
    """The group's scored samples in one subset: number and share."""

    count: int
    share: Figure
    low: Figure
    high: Figure


class Samples(Part):
    """Some samples: how many, and by axis and subset how they fall."""

    samples: int
    share: Figure
    dialogues: int
    scored: int
    axes: dict[str, GroupAxis]
    subsets: dict[str, GroupShare]
    response_words: Figure


class Group(Samples):
    """The samples of one category or topic; `words` tell a topic from the others."""

    name: str
    words: list[str] = Field(default_factory=list)


class OmittedGroups(Part):
    """Groups beyond the largest."""

    groups: int
    samples: int


class Groups(Part):
    """The groups, the largest first; `none` counts samples without a label."""

    groups: list[Group]
    none: int
    left_out: OmittedGroups


class Stretch(Samples):
    """A stretch of the file or of time: places in that order, counted from 0, and Unix seconds where it is of time."""

    first: int
    last: int
    start: int | None = None
    end: int | None = None


class About(Part):
    """The run: its samples, axes with their lowest and highest score, and subsets in the policy's order."""

    name: str
    samples: int
    dialogues: int
    scored: int
    states: dict[str, int]
    axes: dict[str, tuple[int, int]]
    categories: int
    subsets: list[str]
    otherwise: str


class FilteredSubset(Part):
    """What a subset holds: means of facts and scores, entropy of its categories and topics in bits."""

    name: str
    is_kept: bool
    samples: int
    dialogues: int
    means: dict[str, Figure]
    axes: dict[str, Figure]
    entropy: dict[str, Figure]


class Contrast(Part):
    """A fact's mean in what is kept and in what is dropped; `effect` is in standard deviations."""

    feature: str
    kept_mean: Figure
    dropped_mean: Figure
    difference: Interval
    effect: Figure
    p: Figure
    p_holm: Figure


class Retention(Part):
    """What share of a category is kept, against all others."""

    name: str
    samples: int
    kept_samples: int
    share: Figure
    low: Figure
    high: Figure
    from_others: Interval
    p: Figure
    p_holm: Figure
    verdict: Verdict


class Balance(Part):
    """How even categories are before and after; entropy in bits, `effective` is 2 to its power."""

    entropy_before: Figure
    entropy_after: Figure
    entropy_most: Figure
    effective_before: Figure
    effective_after: Figure
    retention: list[Retention]
    most_over: list[str]
    most_under: list[str]


class Filtering(Part):
    """What the selection keeps and drops. `policy` is its definition."""

    policy: dict[str, JsonValue]
    samples: int
    kept_samples: int
    kept_share: Figure
    subsets: list[FilteredSubset]
    features: list[Contrast]
    balance: dict[str, Balance]


class Correlation(Interval):
    """Spearman's correlation of an axis with something else of the sample."""

    axis: str
    kind: Literal["feature", "axis", "metric", "rating"]
    other: str
    samples: int
    dialogues: int


class DriftSide(Part):
    """One side of a comparison; `effective_samples` are as many as independent ones would be worth."""

    name: str
    samples: int
    dialogues: int
    effective_samples: Figure


class Shift(Part):
    """How far one distribution has moved, all in `bins`."""

    kind: Literal["axis", "mix"]
    name: str
    category: str | None
    level: Level
    psi: Figure
    psi_expected: Figure
    psi_limit: Figure
    jensen_shannon: Figure
    bins: list[str]
    reference: list[int]
    actual: list[int]
    means: tuple[Figure, Figure] | None


class Comparison(Part):
    """Two runs or periods; `unknown` counts the tests that have too few samples."""

    reference: DriftSide
    actual: DriftSide
    level: Level
    tests: int
    unknown: int
    axes: list[Shift]
    mix: list[Shift]


class Drift(Part):
    """All comparisons and the worst of their levels; `kind` says between what."""

    kind: str
    level: Level
    comparisons: list[Comparison]


class Spending(Part):
    """Judgements, what they took, and how they ended."""

    judgements: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Figure
    usd_per_1000: Figure
    mean_latency_s: Figure
    states: dict[str, int]


class TotalSpending(Spending):
    """All of it; `lost_usd` is what calls that never came back may have cost, `usd_per_kept` all by what is kept."""

    spent_usd: Figure
    lost_usd: Figure
    usd_per_kept: Figure


class JudgeSpending(Spending):
    """What one judge took under one specification."""

    judge: str
    spec: str


class CategorySpending(Spending):
    """What the samples of one category took."""

    category: str | None


class Cost(Part):
    """What judging has cost, the dearest category first."""

    total: TotalSpending
    judges: list[JudgeSpending]
    categories: list[CategorySpending]
    other_samples: Spending | None


class AlikeSamples(Part):
    """Samples that are alike: near duplicates, or a response that many have."""

    samples: int
    ids: list[str]
    least_similarity: Figure = None
    text: str | None = None


class Finding(Part):
    """A fault of the data with its count, share and first ids; count and share are None where an extra is missing."""

    kind: str
    count: int | None
    share: Figure
    ids: list[str]
    limit: int | None = None
    similarity: Figure = None
    groups: int | None = None
    across_dialogues: int | None = None
    largest: list[AlikeSamples] = Field(default_factory=list)
    usual: str | None = None
    responses_with_language: int | None = None
    others: dict[str, int] = Field(default_factory=dict)
    least: int | None = None
    texts: int | None = None


class AnalyticsRecord(Record):
    """All of `analytics/analytics.json`; docs/analytics.md says what each key is."""

    VERSION: ClassVar[int] = 4
    PLACE: ClassVar[str] = "analytics/analytics.json"
    REMEDY: ClassVar[str] = "`efficient-empathy analytics`"

    run: About
    categories: Groups
    topics: Groups
    order: list[Stretch]
    judging_order: list[Stretch] | None
    filtering: Filtering | None
    correlations: list[Correlation]
    drift: Drift
    cost: Cost | None
    findings: list[Finding]
    notes: list[str]
    settings: dict[str, JsonValue]


class AnalyticsStageRecord(StageRecord):
    """The stage `analytics`: what the numbers were measured from and how, and the main ones."""

    VERSION: ClassVar[int] = AnalyticsRecord.VERSION
    STAGE: ClassVar[str] = "analytics"
    REMEDY: ClassVar[str] = "`efficient-empathy analytics`"

    inputs: dict[str, str]
    """By name the hash of every file that the numbers depend on."""
    parameters: dict[str, JsonValue]
    """`AnalyticsSettings` as plain values."""
    libraries: dict[str, str | None]
    """The optional libraries, each with its version; None for one that is not installed."""
    samples: int
    drift: Level
    findings: dict[str, int]
    """Samples by fault, where there are any."""
    seconds: float


class AnalyticsResult(AnalyticsRecord):
    """What `analytics` did: the record, where it is, and whether nothing had changed."""

    path: str
    seconds: float
    skipped: bool
