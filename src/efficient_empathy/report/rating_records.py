"""What `ratings` makes of people's sheets, as far as the report reads it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from efficient_empathy.report.evaluation_records import Interval, Number
from efficient_empathy.report.reading import ShownRecord


class Rater(ShownRecord):
    """One person: how much of what was asked was rated, and how often hidden repeats got the same rating."""

    name: str
    rated: Number = None
    asked: Number = None
    self_consistency: Number = None


class RatedModel(ShownRecord):
    """One model's mean rating on one dimension."""

    name: str
    mean: Number = None
    interval: Interval = None
    n: Number = None


class Agreement(ShownRecord):
    """How far raters agree, by several coefficients, with their intervals by name."""

    fleiss_kappa: Number = None
    weighted_kappa: Number = None
    alpha_nominal: Number = None
    alpha_ordinal: Number = None
    alpha_interval: Number = None
    intervals: dict[str, Interval] = Field(default_factory=dict)
    items: Number = None
    raters: Number = None


class RatedDimension(ShownRecord):
    """One dimension: models' means, and how far raters agree on it."""

    models: list[RatedModel] = Field(default_factory=list)
    agreement: Agreement = Agreement()


class Contest(ShownRecord):
    """Two models side by side: how often people preferred `a`, neither, or `b`.

    `share` counts a tie as half, `interval` is its own; p is that of a sign test, `p_holm` corrected for the others.
    """

    question: str = ""
    a: str
    b: str
    win: float = Field(default=0, ge=0)
    tie: float = Field(default=0, ge=0)
    lose: float = Field(default=0, ge=0)
    share: Number = None
    interval: Interval = None
    p: Number = None
    p_holm: Number = None


class RankedModel(ShownRecord):
    """A model's log-strength by Bradley and Terry's model of the contests, 0 on average."""

    question: str = ""
    name: str
    strength: Number = None
    interval: Interval = None


class RatingsRecord(ShownRecord):
    """`ratings/results.json`."""

    sheets: list[Any] = Field(default_factory=list)
    raters: list[Rater] = Field(default_factory=list)
    samples: Number = None
    confidence: float = Field(default=0.95, gt=0, lt=1)
    likert: dict[str, RatedDimension] = Field(default_factory=dict)
    ab: list[Contest] = Field(default_factory=list)
    ab_agreement: dict[str, Agreement] = Field(default_factory=dict)
    ranking: list[RankedModel] = Field(default_factory=list)
    problems: list[Any] = Field(default_factory=list)
