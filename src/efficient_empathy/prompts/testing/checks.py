"""What a regression verdict looks at, figure by figure: how far the judge has moved, and what chance alone would do.

Each `Check` is a figure of a judging beside a reference, which is an earlier judging of the same items or what the
golden set expects: the mean `shift` of each axis, its `noise` (how much the judge differs from itself), the `subsets`
that samples fall into, and `failures`. `stage.decide` gives the verdict on them.

The tests are randomisation tests: they say what a figure would be if nothing but chance told two judgings apart.
`swap_judgings` exchanges the two judgings of whole dialogues, so the sign of each dialogue's difference is drawn
(Fisher 1935, chapter 3); it holds even where a judge repeats itself within a judging and not between two.
`regroup_readings` deals an item's readings anew to the two judgings (Pitman 1937), for figures that do not change their
sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.foundation.statistics.resampling import dialogue_draws
from efficient_empathy.prompts.testing.readings import NONE, Codes, Expectations, Readings, WatchedRules, pairs_alike

DRAWS = 40_000
"""So many that a p-value can go below a ten-thousandth."""
MOST_SPLITS = 500
"""Where readings can be dealt in more ways, so many of them are drawn."""
_CHUNK = 5_000


def swap_judgings(differences: Floats, clusters: Sequence[str], seed: int, draws: int = DRAWS) -> Floats:
    """Sums of `differences`, shape (figures, items), with the sign of each cluster drawn; shape (figures, draws).

    nan, a difference that there is not, counts as 0.
    """
    _, codes = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    numbers = np.nan_to_num(differences)
    sums = np.stack([np.bincount(codes, row) for row in numbers], axis=1)
    rng = np.random.default_rng(seed)
    sums_by_draw = []
    for start in range(0, draws, _CHUNK):
        rows = min(_CHUNK, draws - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes(rows * -(-len(sums) // 8)), np.uint8).reshape(rows, -1), axis=1)
        sums_by_draw.append(2 * (bits[:, : len(sums)].astype(np.float64) @ sums) - sums.sum(0))
    return np.concatenate(sums_by_draw).T


def splits(first: int, second: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """The ways to deal `first` + `second` readings into a first and a second judging; all, or `MOST_SPLITS` drawn."""
    together = range(first + second)
    if comb(first + second, first) <= MOST_SPLITS:
        firsts = [list(one) for one in combinations(together, first)]
    else:
        rng = np.random.default_rng(seed)
        firsts = [sorted(rng.choice(first + second, first, replace=False).tolist()) for _ in range(MOST_SPLITS)]
    return [(one, [i for i in together if i not in one]) for one in firsts]


def regroup_readings(tables: Sequence[Floats], seed: int, draws: int = DRAWS) -> Floats:
    """Sums over items of what each would give, one of its `tables`' rows drawn; shape (figures, draws).

    A table has shape (splits, figures): an item's figures under each way to deal its readings. Without items, zeros of
    shape (1, draws).
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((tables[0].shape[1] if tables else 1, draws))
    for table in tables:
        if len(table) == 1 or (table == table[0]).all():
            total += table[0][:, None]
        else:
            total += table[rng.integers(0, len(table), draws, dtype=np.uint16)].T
    return total


Reference = Readings | Expectations
Which = npt.NDArray[np.bool_]
RESAMPLES = 2_000
UNSEEN = 0.05
"""A change that so many items have is missed by all of a set with this chance, at the edge of what it can exclude."""
_TINY = 1e-9


Interval = tuple[float, float, float]
"""A value, and the two ends."""


@dataclass(frozen=True)
class Check:
    """A figure, its interval, and `null`: what it is in each draw of chance alone.

    `unseen` is what could be there without any item of the set showing it; `items` are those it rests on.
    """

    name: str
    axis: str | None
    value: float
    low: float
    high: float
    null: Floats
    two_sided: bool
    unseen: float
    items: int
    note: str = ""

    def p_value(self) -> float:
        """The share of draws as far out as the figure, itself counted in (Phipson & Smyth 2010)."""
        as_far = np.abs(self.null) >= abs(self.value) - _TINY if self.two_sided else self.null >= self.value - _TINY
        return float((1 + np.count_nonzero(as_far)) / (1 + len(self.null)))

    def resolution(self, level: float) -> float:
        """How large the figure has to be for its p-value to go below `level`: what smaller ones are, is not told."""
        draws = np.abs(self.null) if self.two_sided else self.null
        reach = float(np.quantile(draws, 1 - level, method="higher")) if len(draws) else np.inf
        return max(reach, self.unseen)


@dataclass(frozen=True)
class Setting:
    """The items that figures are over: their dialogues, how many samples each stands for, and the seed of all draws."""

    dialogues: Sequence[str]
    weights: Floats
    seed: int
    confidence: float
    resamples: int = RESAMPLES

    def interval(self, values: Floats) -> Interval:
        """The weighted mean of `values`, (items,), nan left out, with its percentile bootstrap interval by dialogue."""
        return self.interval_of(self.means(values))

    def interval_of(self, draws: Floats) -> Interval:
        """A figure and its percentiles, from its value and, after that, its value in each draw of dialogues."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(draws[1:], [tail, 1 - tail]) if len(draws) > 1 else (np.nan, np.nan)
        return float(draws[0]), float(low), float(high)

    def means(self, values: Floats) -> Floats:
        """The weighted mean of `values` as they are, then in each draw of dialogues that has any; (1 + draws,)."""
        there = ~np.isnan(values)
        if not there.any():
            return np.full(1, np.nan)
        weights = np.concatenate([np.ones((1, int(there.sum()))), self._draws[:, there]]) * self.weights[there]
        with np.errstate(invalid="ignore"):
            means = (weights @ values[there]) / weights.sum(1)
        finite: Floats = np.concatenate([means[:1], means[1:][~np.isnan(means[1:])]])
        return finite

    def shares(self, there: Which) -> Floats:
        """What each item counts for in a mean over the items that are `there`; 0 elsewhere."""
        weights = np.where(there, self.weights, 0.0)
        shares: Floats = weights / max(weights.sum(), _TINY)
        return shares

    def unseen(self, there: Which) -> float:
        """The share of dialogues that might behave otherwise while none of these does: the rule of three, exactly."""
        count = len({d for d, one in zip(self.dialogues, there, strict=True) if one})
        return float(1 - UNSEEN ** (1 / count)) if count else np.inf

    @cached_property
    def _draws(self) -> Floats:
        return dialogue_draws(self.dialogues, self.resamples, self.seed)


@dataclass(frozen=True)
class _Part:
    """A check to be: what of it changes its sign where a dialogue's judgings are swapped, (items,), and the rest."""

    signed: Floats
    finish: Callable[[Floats], Check]


def checks(
    now: Readings, before: Reference, rules: WatchedRules | None, setting: Setting, *, noise: bool
) -> list[Check]:
    """Every check that the two allow. `noise` says whether expectations are one reading of a judge, which then tells
    something about that judge's noise."""
    parts = [*_shifts(now, before, setting)]
    if isinstance(before, Readings):
        parts += _noise(now, before, setting)
    elif noise:
        parts += _noise_of_one(now, before, setting)
    if rules is not None:
        parts.append(_subsets(now.subsets(rules), before, rules, setting))
    parts.append(_failures(now, before, setting))
    nulls = swap_judgings(np.stack([part.signed for part in parts]), setting.dialogues, setting.seed)
    results = [part.finish(null) for part, null in zip(parts, nulls, strict=True)]
    return [check for check in results if check.items]


def departures(now: Readings, before: Reference) -> Floats:
    """By how much each item's scores are higher than before, (items, axes), mean over rounds; nan where unknown."""
    if isinstance(before, Readings):
        return now.means() - before.means()
    return now.means() - Readings(now.axes, before.nearest(now.scores), now.present).means()


def _shifts(now: Readings, before: Reference, setting: Setting) -> Iterator[_Part]:
    apart = departures(now, before)
    for a, axis in enumerate(now.axes):
        yield _mean("shift", axis, apart[:, a], setting, two_sided=True)


def _failures(now: Readings, before: Reference, setting: Setting) -> _Part:
    apart = now.failures - (before.failures if isinstance(before, Readings) else 0.0)
    return _mean("failures", None, apart, setting, two_sided=False)


def _mean(name: str, axis: str | None, apart: Floats, setting: Setting, *, two_sided: bool) -> _Part:
    there = ~np.isnan(apart)

    def finish(null: Floats) -> Check:
        ends = setting.interval(apart)
        return Check(name, axis, *ends, null, two_sided, setting.unseen(there), int(there.sum()))

    return _Part(setting.shares(there) * np.nan_to_num(apart), finish)


def _noise(now: Readings, before: Readings, setting: Setting) -> Iterator[_Part]:
    """The rise of the standard deviation within an item, pooled over items."""
    for a, axis in enumerate(now.axes):
        pair = [readings.variances()[:, a] for readings in (now, before)]
        there = ~np.isnan(pair[0]) & ~np.isnan(pair[1])
        mine, theirs = (setting.means(np.where(there, one, np.nan)) for one in pair)

        def finish(null: Floats, axis: str = axis, mine: Floats = mine, theirs: Floats = theirs,
                   there: Which = there) -> Check:  # fmt: skip
            total = mine[0] + theirs[0]
            rise_by_chance = _deviation((total + null) / 2) - _deviation((total - null) / 2)
            return _rise(axis, _deviation(mine) - _deviation(theirs), rise_by_chance, there, setting)

        yield _Part(setting.shares(there) * np.nan_to_num(pair[0] - pair[1]), finish)


def _noise_of_one(now: Readings, before: Expectations, setting: Setting) -> Iterator[_Part]:
    """The same beside a single reading: from its squared distance to the judge's, less the judge's own variance.

    If e is one reading of a judge with variance v, and x one of the judge that is tested, with variance u, the mean of
    (x − e)² is u + v where the judge has not shifted. A shift makes v look larger, and is found by itself.
    """
    for a, axis in enumerate(now.axes):
        repeats = [row[~np.isnan(row)] for row in now.scores[:, :, a]]
        there = np.array([len(one) > 1 for one in repeats]) & before.numbers
        shares, tables = setting.shares(there), []
        own, apart = np.full(len(repeats), np.nan), np.full(len(repeats), np.nan)
        for i in np.flatnonzero(there):
            table = _beside_one(tuple(repeats[i].tolist()), float(before.low[i, a]))
            own[i], apart[i] = table[0]
            tables.append(shares[i] * table)

        def finish(_: Floats, axis: str = axis, own: Floats = own, apart: Floats = apart, there: Which = there,
                   tables: list[Floats] = tables) -> Check:  # fmt: skip
            u, distance = regroup_readings(tables, setting.seed) if tables else np.zeros((2, 1))
            mine = setting.means(own)
            rise = _deviation(mine) - _deviation(setting.means(apart) - mine)
            return _rise(axis, rise, _deviation(u) - _deviation(distance - u), there, setting)

        yield _Part(np.zeros(len(repeats)), finish)


@lru_cache(maxsize=4096)
def _beside_one(repeats: tuple[float, ...], other: float) -> Floats:
    """The variance of all readings but one and their mean squared distance to that one, whichever it is; `other`
    first. Shape (readings, 2)."""
    values = np.array([*repeats, other])
    return np.array([
        (values[rest].var(ddof=1), ((values[rest] - values[alone]) ** 2).mean())
        for rest, alone in splits(len(repeats), 1, 0)
    ])  # fmt: skip


def _rise(axis: str, draws: Floats, null: Floats, there: Which, setting: Setting) -> Check:
    ends = setting.interval_of(draws)
    return Check("noise", axis, *ends, null, False, setting.unseen(there), int(there.sum()))


def _deviation(variance: Floats) -> Floats:
    deviation: Floats = np.sqrt(np.maximum(variance, 0.0))
    return deviation


def _subsets(now: Codes, before: Reference, rules: WatchedRules, setting: Setting) -> _Part:
    """How many more samples change subset than the judge's own noise accounts for.

    Of two readings of an item, one of each judging, the chance that they fall into different subsets, less the chance
    for two readings of one judging (the mean of both): ½ Σ (p − q)² over subsets for the judgings' probabilities p and
    q, the energy distance of Székely and Rizzo (2013) for categories. It is 0 for a judge that has not changed, and
    1 for an item that has moved from one subset to another for good.
    """
    theirs = _codes(before, rules)
    permits = None if isinstance(before, Readings) else before.permits(rules)
    beyond, signed, tables = np.full(len(now), np.nan), np.zeros(len(now)), {}
    for i in range(len(now)):
        mine, other = now[i][now[i] != NONE], theirs[i][theirs[i] != NONE]
        if len(mine) and len(other):
            beyond[i] = _movement(tuple(mine.tolist()), tuple(other.tolist()))
            tables[i] = _deals(tuple(sorted([*mine.tolist(), *other.tolist()])), len(mine))
        elif len(mine) and permits is not None:  # a range: nothing that could be dealt anew
            signed[i] = beyond[i] = np.mean(~permits[i][mine]) - _unlike(tuple(mine.tolist()))
    there = ~np.isnan(beyond)
    shares = setting.shares(there)
    once = now.shape[1] < 2 and (theirs.shape[1] < 2)
    note = "each item was judged once: judge it twice or more (-k) to tell a change from noise" if once else ""

    def finish(null: Floats) -> Check:
        (dealt,) = regroup_readings([shares[i] * table for i, table in tables.items()], setting.seed)
        counts = (setting.unseen(there), int(there.sum()))
        return Check("subsets", None, *setting.interval(beyond), null + dealt, False, *counts, note)

    return _Part(shares * signed, finish)


def _codes(before: Reference, rules: WatchedRules) -> Codes:
    """The subsets of an earlier judging; of expectations as one reading, `NONE` where they are a range."""
    if isinstance(before, Expectations):
        numbers = np.where(before.numbers[:, None], before.low, np.nan)[:, None]
        before = Readings(before.axes, numbers, np.ones((len(numbers), 1), dtype=np.bool_))
    return before.subsets(rules)


@lru_cache(maxsize=4096)
def _deals(together: tuple[int, ...], first: int) -> Floats:
    """`_movement` under each way to deal readings into two judgings, (splits, 1)."""
    if together[0] == together[-1]:
        return np.zeros((1, 1))
    dealt = splits(first, len(together) - first, 0)
    return np.array([[_movement(*(tuple(together[i] for i in part) for part in both))] for both in dealt])


@lru_cache(maxsize=4096)
def _movement(mine: tuple[int, ...], other: tuple[int, ...]) -> float:
    own = [_unlike(one) for one in (mine, other) if len(one) > 1]
    alike = float(pairs_alike(np.array(mine), np.array(other)))
    return 1 - alike - (float(np.mean(own)) if own else 0.0)


def _unlike(codes: tuple[int, ...]) -> float:
    one = np.array(codes)
    return float(1 - pairs_alike(one, one, within=True)) if len(codes) > 1 else 0.0
