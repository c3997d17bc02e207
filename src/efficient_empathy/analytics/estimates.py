"""Means, and differences of means, with intervals and tests that know that samples of one dialogue hang together.

The variance is that of a ratio whose clusters are dialogues, linearised (Cochran, Sampling Techniques, 1977, chapter 6;
as in Stata's and R's survey packages): exact sums, no resampling, so it costs one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from efficient_empathy.analytics.table import Codes, Mask
from efficient_empathy.foundation.statistics.measured import Floats

TESTED = 10
"""Fewer dialogues than so many on one side are shown, not tested."""


@dataclass(frozen=True)
class Estimate:
    """A mean or difference with its interval; `p` two-sided of being zero. nan where it cannot be told."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan

    def record(self) -> dict[str, float]:
        """Value and interval."""
        return {"value": self.value, "low": self.low, "high": self.high}


def mean(values: Floats, dialogues: Codes, confidence: float = 0.95) -> Estimate:
    """The mean of values, none nan; dialogues are one code a value."""
    if not len(values):
        return Estimate(math.nan)
    value = float(values.mean())
    return _estimate(value, (values - value) / len(values), dialogues, confidence)


def difference(values: Floats, inside: Mask, dialogues: Codes, confidence: float = 0.95) -> Estimate:
    """The mean inside less the mean outside; without `p` where either has fewer than `TESTED` dialogues."""
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return Estimate(math.nan)
    first, second = float(values[inside].mean()), float(values[~inside].mean())
    parts = np.where(inside, (values - first) / n, (second - values) / m)
    sides = [len(np.unique(dialogues[side])) for side in (inside, ~inside)]
    found = _estimate(first - second, parts, dialogues, confidence, min(sides) - 1)
    return found if min(sides) >= TESTED else Estimate(found.value, found.low, found.high)


def _estimate(value: float, parts: Floats, dialogues: Codes, confidence: float, freedom: int | None = None) -> Estimate:
    """From each row's part in the figure: parts of one dialogue are summed before they are squared."""
    _, places = np.unique(dialogues, return_inverse=True)
    sums = np.bincount(places, parts)
    clusters = len(sums)
    freedom = clusters - 1 if freedom is None else freedom
    if clusters < 2 or freedom < 1:
        return Estimate(value)
    error = math.sqrt(clusters / (clusters - 1) * float(sums @ sums))
    margin = t_quantile((1 + confidence) / 2, freedom) * error
    p = (1.0 if value == 0 else 0.0) if error == 0 else t_tails(value / error, freedom)
    return Estimate(value, value - margin, value + margin, p)


def t_tails(t: float, freedom: int) -> float:
    """P(|T| > |t|) of Student's t, by Wallace's approximation (1959), within 0.001 from 3 degrees of freedom on."""
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.erfc(z / math.sqrt(2))


def t_quantile(p: float, freedom: int) -> float:
    """The inverse: what T stays below with probability p, p from one half on."""
    z = NormalDist().inv_cdf(p) * (8 * freedom + 3) / (8 * freedom + 1)
    exponent = z * z / freedom
    return math.sqrt(freedom * math.expm1(exponent)) if exponent < 500 else math.inf
