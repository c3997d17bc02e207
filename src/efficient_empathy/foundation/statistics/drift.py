"""How far a distribution has moved from a reference: counts in bins, and a guard against alarms from noise.

Two measures of the same shift: the population stability index (PSI), and Jensen and Shannon's distance, which has a
ceiling. Both are above zero in any sample that is not the reference itself, the more so the smaller it is. A shift is
therefore reported only where PSI exceeds what chance gives, and by how much it exceeds it on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.errors import UserError

Counts = npt.NDArray[np.float64]
"""Shape (bins,): how often each bin was hit."""
Level = Literal["ok", "watch", "alarm"]

PSI_WATCH, PSI_ALARM = 0.1, 0.25
"""Less than 0.1: no change to speak of; 0.1 to 0.25: some, look; more: a large one (Lewis, An Introduction to Credit
Scoring, 1994; Siddiqi, Credit Risk Scorecards, 2006). Conventions of credit scoring, not derived from anything."""
JENSEN_SHANNON_WATCH = 0.1
"""A limit on the distance, from 0 to 1: the threshold that CapyMOA's detector has by default (capymoa.drift)."""
CHANCE = 0.001
"""How often a feature that has not moved may be reported as moved."""


@dataclass(frozen=True)
class Shift:
    """One feature's shift: `psi`; `noise`, what it is expected to be without any; `limit`, what chance exceeds once in
    `1 / chance`; `jensen_shannon`, the distance from 0 to 1; and what follows."""

    psi: float
    noise: float
    limit: float
    jensen_shannon: float
    level: Level

    @property
    def blind(self) -> bool:
        """Whether `ok` says nothing: so few counts that chance alone could hide an alarm."""
        return self.level == "ok" and self.limit - self.noise >= PSI_ALARM


def psi(expected: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Population stability index Σ (a − e) ln(a / e) of shares a and e in the same bins, in nats.

    It is the sum of both Kullback–Leibler divergences (Jeffreys 1946). Bins that are empty on one side are smoothed as
    `shares` has it. 0 where either has no counts at all. Raises `UserError` for tables of different length, and for
    counts that are negative or no numbers.
    """
    e, a = shares(expected, actual)
    return float(((a - e) * np.log(a / e)).sum())


def jensen_shannon(expected: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Square root of the Jensen–Shannon divergence in bits: a metric, 0 for equal shares, 1 for disjoint ones.

    Lin (1991), Endres & Schindelin (2003); `scipy.spatial.distance.jensenshannon(base=2)`. Empty bins need no
    smoothing. 0 where either has no counts at all. Raises `UserError` as `psi` does.
    """
    e, a = _as_counts(expected, actual)
    if not e.sum() or not a.sum():
        return 0.0
    e, a = e / e.sum(), a / a.sum()
    middle = (e + a) / 2

    def divergence(p: Counts) -> float:
        there = p > 0
        return float((p[there] * np.log2(p[there] / middle[there])).sum())

    return float(np.sqrt(min(1.0, max(0.0, (divergence(e) + divergence(a)) / 2))))


def shift(
    expected: npt.ArrayLike,
    actual: npt.ArrayLike,
    *,
    expected_size: float | None = None,
    actual_size: float | None = None,
    chance: float = CHANCE,
) -> Shift:
    """Whether a feature has moved: `watch` and `alarm` only where chance would give such a PSI less than once in
    `1 / chance`, and by as much as PSI exceeds its expectation without any shift.

    Sizes are what the counts are worth as independent samples, by default their sums; see `effective_size`. Raises
    `UserError` as `psi` does.
    """
    e, a = _as_counts(expected, actual)
    n = e.sum() if expected_size is None else expected_size
    m = a.sum() if actual_size is None else actual_size
    if not n or not m:
        return Shift(0.0, 0.0, 0.0, 0.0, "ok")
    freedom = int(np.count_nonzero(e + a)) - 1
    value = psi(e, a)
    noise, limit = expected_psi(freedom + 1, n, m), psi_limit(freedom + 1, n, m, chance)
    excess = value - noise if value > limit else 0.0
    level: Level = "alarm" if excess >= PSI_ALARM else "watch" if excess >= PSI_WATCH else "ok"
    return Shift(value, noise, limit, jensen_shannon(e, a), level)


def expected_psi(bins: int, n: float, m: float) -> float:
    """PSI's expectation for two samples of n and m from one distribution: (bins − 1)(1/n + 1/m).

    Yurdakul, Statistical Properties of Population Stability Index (Western Michigan University 2018).
    """
    return (bins - 1) * (1 / n + 1 / m)


def psi_limit(bins: int, n: float, m: float, chance: float = CHANCE) -> float:
    """What PSI exceeds with probability `chance` for two samples of n and m from one distribution.

    PSI ÷ (1/n + 1/m) is then distributed as χ² with bins − 1 degrees of freedom (Yurdakul 2018). The quantile of χ² is
    approximated by a cubed normal one (Wilson & Hilferty 1931), within 4 % from one degree of freedom on.
    """
    freedom = bins - 1
    if freedom < 1:
        return 0.0
    z = NormalDist().inv_cdf(1 - chance)
    quantile = freedom * (1 - 2 / (9 * freedom) + z * float(np.sqrt(2 / (9 * freedom)))) ** 3
    return quantile * (1 / n + 1 / m)


def shares(expected: npt.ArrayLike, actual: npt.ArrayLike) -> tuple[Counts, Counts]:
    """Both as shares that are nowhere zero, without the bins that are empty on both sides.

    To each side half a count per bin is added, dealt out over the bins as both sides together are. That draws a small
    sample toward the other side, never toward a shape that neither has, as half a count in every bin would do; so it
    can hide a shift of a few counts, and cannot make one up. Both are empty where either side is.
    """
    e, a = _as_counts(expected, actual)
    if not e.sum() or not a.sum():
        return np.zeros(0), np.zeros(0)
    there = (e + a) > 0
    e, a = e[there], a[there]
    pseudo_counts = len(e) / 2 * (e + a) / (e + a).sum()
    return (e + pseudo_counts) / (e + pseudo_counts).sum(), (a + pseudo_counts) / (a + pseudo_counts).sum()


def effective_size(clusters: Sequence[int] | npt.NDArray[np.int64]) -> float:
    """What samples in clusters of these sizes are worth as independent ones, at the worst: (Σ n)² / Σ n².

    Kish (1965) for clusters whose members are all alike: turns of one conversation share its length and its topic.
    """
    sizes = np.asarray(clusters, dtype=np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if sizes.any() else 0.0


def lower_share(hits: float, n: float, chance: float = CHANCE) -> float:
    """Lower bound of a share of which `hits` of `n` were seen, one-sided, missed with probability `chance`.

    Wilson (1927). 0 where n is.
    """
    if not n:
        return 0.0
    z = NormalDist().inv_cdf(1 - chance)
    p = hits / n
    middle = p + z**2 / (2 * n)
    margin = z * float(np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    return max(0.0, (middle - margin) / (1 + z**2 / n))


def _as_counts(expected: npt.ArrayLike, actual: npt.ArrayLike) -> tuple[Counts, Counts]:
    e, a = (np.asarray(counts, dtype=np.float64) for counts in (expected, actual))
    if e.shape != a.shape or e.ndim != 1:
        raise UserError(f"distributions are compared in the same bins, not in {e.shape} and {a.shape}")
    if not all(np.isfinite(counts).all() and (counts >= 0).all() for counts in (e, a)):
        raise UserError("counts in bins must be numbers from 0 on")
    return e, a
