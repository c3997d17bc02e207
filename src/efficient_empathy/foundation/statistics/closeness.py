"""How close the scores of two raters are, on the same items: figures and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.measured import Floats, Weights
from efficient_empathy.foundation.statistics.resampling import replicate

FIGURES = ("exact", "within_one", "mean_shift", "mean_absolute", "kappa_quadratic", "alpha_ordinal", "spearman")
DEFINED = 0.9
"""An interval needs so large a share of its draws to be defined."""
_TINY = 1e-9


class Figure(NamedTuple):
    """A figure and its interval; nan where it is undefined."""

    value: float
    low: float
    high: float


def closeness(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    scale: Sequence[float],
    clusters: Sequence[Any] | None = None,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Figure]:
    """Each of `FIGURES`, of the items that both raters scored, with a bootstrap interval over clusters of items.

    `first` and `second` have shape (items,), nan where a rater has no score. `scale` is `(lowest, highest)`, where
    distances are those of the numbers, or every category in order, where they are places on the scale (as in
    `statistics.agreement`). `clusters` is one label an item, its dialogue; each item is its own by default. An interval
    is nan with `draws` 0, with fewer than two clusters, and where more than a tenth of the draws are undefined.

    Raises `ValueError` for a score off the scale.
    """
    a, b = (np.asarray(scores, dtype=np.float64) for scores in (first, second))
    both = ~np.isnan(a) & ~np.isnan(b)
    labels = np.arange(len(a)).astype(str) if clusters is None else np.array([str(label) for label in clusters])
    pair = Pair(a[both], b[both], scale)
    pair_labels = labels[both].tolist()
    if not draws or len(set(pair_labels)) < 2:
        return {name: Figure(float(value[0]), np.nan, np.nan) for name, value in pair.under().items()}
    figures = replicate({"": pair}, pair_labels, draws=draws, seed=seed)[""]
    bounds = {
        name: one.interval(confidence) if np.isnan(one.replicates).mean() <= 1 - DEFINED else (np.nan, np.nan)
        for name, one in figures.items()
    }
    return {name: Figure(one.value, *bounds[name]) for name, one in figures.items()}


class Pair:
    """Two raters' scores of the same items, none missing, as `statistics.resampling` takes what was measured.

    Items with the same two scores count together, as one cell of the raters' joint table: on a whole scale there are
    at most levels × levels of them, whatever the number of items. `scale` as in `closeness`. Raises `ValueError` for
    a score off the scale.
    """

    repeatable = True

    def __init__(self, first: Floats, second: Floats, scale: Sequence[float]) -> None:
        values, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        if len(values) and not min(scale) <= values[0] <= values[-1] <= max(scale):
            outside = values[0] if values[0] < min(scale) else values[-1]
            raise ValueError(f"{outside:g} is not on the scale {min(scale):g} to {max(scale):g}")
        size = max(1, len(values))
        cells, self._cell_of_row = np.unique(places[: len(first)] * size + places[len(first) :], return_inverse=True)
        self._first, self._second = cells // size, cells % size
        self._apart = values[self._second] - values[self._first]
        steps = _steps(values, scale)
        self._steps = steps[self._first], steps[self._second]

    @property
    def parts(self) -> Sequence[Pair]:
        """Itself alone."""
        return [self]

    def under(self, weights: Weights | None = None) -> Mapping[str, Floats]:
        """Each of `FIGURES`, shape (draws,), under weights of shape (draws, items).

        `mean_shift` is second − first. `kappa_quadratic` is Cohen's with quadratic weights (1968), `alpha_ordinal`
        Krippendorff's for two raters (Content Analysis, 2004, 11.3), `spearman` the correlation of mid-ranks. nan
        where a figure is undefined: no items, or scores that do not vary.
        """
        items = len(self._cell_of_row)
        if not items:
            return dict.fromkeys(FIGURES, np.full(1 if weights is None else len(weights), np.nan))
        counts = _sum_by_group(np.ones((1, items)) if weights is None else weights, self._cell_of_row)
        with np.errstate(invalid="ignore"):  # a draw may have none of the items
            shares = counts / counts.sum(1, keepdims=True)
        distance = np.abs(self._apart)
        return {
            "exact": shares @ (distance < _TINY).astype(np.float64),
            "within_one": shares @ (distance < 1 + _TINY).astype(np.float64),
            "mean_shift": shares @ self._apart,
            "mean_absolute": shares @ distance,
            "kappa_quadratic": _kappa(shares, *self._steps),
            "alpha_ordinal": self._alpha(counts),
            "spearman": _correlation(shares, *(_mid_ranks(counts, cells) for cells in (self._first, self._second))),
        }

    def _alpha(self, counts: Floats) -> Floats:
        """1 − (n − 1) × observed ÷ expected; the ordinal distance of two values is that of their mid-ranks among all n
        = 2 × items scores."""
        either = np.concatenate([self._first, self._second])
        twice = np.concatenate([counts, counts], axis=1)
        ranks = _mid_ranks(twice, either)
        ranks -= ranks.mean(1, keepdims=True)
        n = twice.sum(1)
        half = counts.shape[1]
        observed = 2 * (counts * (ranks[:, :half] - ranks[:, half:]) ** 2).sum(1)
        expected = 2 * (n * (twice * ranks**2).sum(1) - (twice * ranks).sum(1) ** 2)
        return _beyond((n - 1) * observed, expected, n**3)


def _steps(values: Floats, scale: Sequence[float]) -> Floats:
    """Where each value lies, in the unit that kappa's distances are of: its place among the categories, or itself."""
    categories = np.array(sorted(scale), dtype=np.float64)
    places = np.searchsorted(categories, values)
    if len(categories) > 2 and (categories[places] == values).all():
        return places.astype(np.float64)
    if len(categories) > 2 and not np.allclose(np.diff(categories), categories[1] - categories[0]):
        raise ValueError("a score is not on the scale: " + ", ".join(f"{category:g}" for category in categories))
    return values


def _sum_by_group(weights: Weights, groups: npt.NDArray[np.intp]) -> Floats:
    """Sums of columns by the group of each, numbered from 0 without a gap; shape (draws, groups)."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    summed: Floats = np.add.reduceat(weights[:, order], starts, axis=1)
    return summed


def _mid_ranks(counts: Floats, values: npt.NDArray[np.intp]) -> Floats:
    """The mid-rank of each column's value among all that are counted; ties share the middle. Shape as `counts`."""
    _, dense = np.unique(values, return_inverse=True)
    totals = _sum_by_group(counts, dense)
    ranks: Floats = (np.cumsum(totals, axis=1) - totals / 2)[:, dense]
    return ranks


def _kappa(shares: Floats, first: Floats, second: Floats) -> Floats:
    """1 − mean squared distance ÷ what it would be if the raters chose independently."""
    middle = (first.mean() + second.mean()) / 2
    first, second = first - middle, second - middle
    observed = shares @ (first - second) ** 2
    expected = shares @ (first**2 + second**2) - 2 * (shares @ first) * (shares @ second)
    return _beyond(observed, expected, 1.0)


def _correlation(shares: Floats, first: Floats, second: Floats) -> Floats:
    """Pearson's, of values of shape (draws, cells)."""
    first, second = (values - (shares * values).sum(1, keepdims=True) for values in (first, second))
    spread = np.sqrt((shares * first**2).sum(1) * (shares * second**2).sum(1))
    correlation: Floats = np.full(len(shares), np.nan)
    np.divide((shares * first * second).sum(1), spread, out=correlation, where=spread > _TINY)
    return correlation


def _beyond(observed: Floats, expected: Floats, unit: Floats | float) -> Floats:
    """1 − observed ÷ expected; nan where nothing is expected to differ, measured in `unit`."""
    ratio: Floats = np.full(len(expected), np.nan)
    np.divide(observed, expected, out=ratio, where=expected > _TINY * unit)
    return 1 - ratio
