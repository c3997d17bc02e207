"""Figures under resamples of the items, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from efficient_empathy.evaluation.agreement.record import Estimates
from efficient_empathy.foundation.run.record import Estimate
from efficient_empathy.foundation.statistics.closeness import DEFINED, FIGURES, Pair
from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights
from efficient_empathy.foundation.statistics.resampling import Replicated, replicated

Figures = dict[str, Replicated]
"""Figures by name, each on the items as they are and on every resample."""


class Closeness(Measured):
    """How close two raters are on the items that both scored, under weights of all items (`closeness.FIGURES`)."""

    def __init__(self, first: Floats, second: Floats, scale: Sequence[float]) -> None:
        self._rows = np.flatnonzero(~np.isnan(first) & ~np.isnan(second))
        self._pair = Pair(first[self._rows], second[self._rows], scale)

    @property
    def items(self) -> int:
        """How many items both scored."""
        return len(self._rows)

    def under(self, weights: Weights | None = None) -> Mapping[str, Floats]:
        """The figures, shape (draws,), under weights of shape (draws, all items)."""
        return self._pair.under(None if weights is None else weights[:, self._rows])


def resampled(
    measured: Mapping[str, Measured], clusters: Sequence[str], *, draws: int, seed: int
) -> dict[str, Figures]:
    """`statistics.resampling.replicated`, without resamples where there is nothing to draw or `draws` is 0."""
    if draws and len(set(clusters)) > 1 and measured:
        return replicated(measured, clusters, draws=draws, seed=seed)
    none = np.empty(0)
    return {
        name: {figure: Replicated(float(value[0]), none, "bootstrap") for figure, value in found.under().items()}
        for name, found in measured.items()
    }


def mean_of(figures: Iterable[Figures]) -> Figures:
    """The mean of several raters' figures, without those that are undefined."""
    every = list(figures)
    return {
        name: Replicated(
            float(_mean(np.array([[one[name].value] for one in every]))[0]),
            _mean(np.array([one[name].replicates for one in every])),
            "bootstrap",
        )
        for name in (FIGURES if every else ())
    }


def less(figures: Figures, baseline: Figures) -> Figures:
    """By how much figures are higher than others on the same resamples."""
    return {name: figures[name] - baseline[name] for name in figures if name in baseline}


def estimates(figures: Figures, confidence: float) -> Estimates:
    """Every figure with its interval."""
    return {name: estimate(one, confidence) for name, one in figures.items()}


def estimate(one: Replicated, confidence: float) -> Estimate:
    """A figure with its interval; none where it is undefined in more than a tenth of the resamples."""
    known = len(one.replicates) and np.isnan(one.replicates).mean() <= 1 - DEFINED
    low, high = one.interval(confidence) if known else (math.nan, math.nan)
    return Estimate(value=one.value, low=low, high=high)


def _mean(values: Floats) -> Floats:
    """The mean over rows without nan, nan where all are."""
    known = ~np.isnan(values)
    count = known.sum(0)
    found = np.full(values.shape[1], np.nan)
    np.divide(np.where(known, values, 0).sum(0), count, out=found, where=count > 0)
    return found
