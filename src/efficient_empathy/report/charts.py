"""Counts by score: the map of two axes, and the histogram of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.foundation.figures.svg import Histogram, Map
from efficient_empathy.foundation.run.axis import Axis
from efficient_empathy.scoring.dependence import expected_counts
from efficient_empathy.selection.columns import AXES, association
from efficient_empathy.selection.grid import GridPolicy
from efficient_empathy.selection.scored_run import BATCH, Run

LEVELS_SHOWN = 101
"""Axes with more whole numbers than this get no histogram."""
MAP_LEVELS = 21
"""Axes with more whole numbers than this get no map."""


@dataclass(frozen=True, slots=True)
class AxisSummary:
    """How the scores on one axis lie; None where there are none."""

    name: str
    low: int
    high: int
    mean: float | None
    std: float | None
    quartiles: tuple[float | None, float | None, float | None]


def score_map(run: Run) -> Map | None:
    """Sensibility against rationality, or the two axes of another rubric that has just two."""
    by_name = {axis.name: axis for axis in run.axes}
    ours = set(AXES) <= set(by_name)
    if not ours and len(run.axes) != 2:
        return None
    y, x = (by_name[name] for name in AXES) if ours else run.axes
    if max(len(x.values), len(y.values)) > MAP_LEVELS:
        return None
    counts = np.zeros((len(y.values), len(x.values)))
    certain = run.scores.filter(run.scored)
    if run.shows_expectations:
        columns = [f"{axis.name}_probabilities" for axis in (y, x)]
        given = pl.all_horizontal(pl.col(columns).is_not_null())
        together = association(run.columns)
        for batch in _batches(certain.filter(given).select(*columns, together)):
            counts += expected_counts(*(batch[column].to_numpy() for column in batch.columns))
        certain = certain.filter(~given)
    found = certain.group_by(y.level().alias("y"), x.level().alias("x")).agg(pl.len()).collect(engine="streaming")
    np.add.at(counts, (found["y"].to_numpy(), found["x"].to_numpy()), found["len"].to_numpy())
    policy = run.policy if isinstance(run.policy, GridPolicy) else None
    cells = policy.cells() if policy and counts.shape == policy.cells().shape else None
    return Map(x, y, counts, cells, policy.alpha if policy else None, policy.beta if policy else None)


def summary(run: Run, axis: Axis) -> AxisSummary:
    """Mean, spread and quartiles of one axis."""
    score = pl.col(axis.name).cast(pl.Float64)
    quartiles = [score.quantile(q, "nearest").alias(f"{q}") for q in (0.25, 0.5, 0.75)]
    scored = run.scores.filter(run.scored)
    found = scored.select(score.mean().alias("mean"), score.std().alias("std"), *quartiles).collect(engine="streaming")
    mean, std, low, middle, high = found.row(0)
    return AxisSummary(axis.name, axis.low, axis.high, mean, std, (low, middle, high))


def histogram(run: Run, axis: Axis, mean: float | None, chart: Map | None) -> Histogram | None:
    """Counts by score on one axis, from the map where it has the axis; None for an axis of too many numbers."""
    levels = len(axis.values)
    if chart and axis in (chart.x, chart.y):
        along = 0 if axis == chart.x else 1
        cells = chart.cells if chart.cells is not None else np.full(chart.counts.shape, "")
        subsets = run.subsets if chart.cells is not None else ("",)
        counts = np.stack([np.where(cells == subset, chart.counts, 0).sum(axis=along) for subset in subsets])
        threshold, symbol = (chart.beta, "β") if axis == chart.x else (chart.alpha, "α")
        return Histogram(axis, mean, counts, subsets, threshold, symbol)
    if levels > LEVELS_SHOWN:
        return None
    counts = np.zeros((1, levels))
    certain = run.scores.filter(run.scored)
    if run.shows_expectations:
        column = f"{axis.name}_probabilities"
        for batch in _batches(certain.filter(pl.col(column).is_not_null()).select(column)):
            counts += batch[column].to_numpy().sum(axis=0, dtype=np.float64)
        certain = certain.filter(pl.col(column).is_null())
    found = certain.group_by(axis.level().alias("level")).agg(pl.len()).collect(engine="streaming")
    np.add.at(counts[0], found["level"].to_numpy(), found["len"].to_numpy())
    return Histogram(axis, mean, counts, ("",))


def _batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    found: Any = frame.collect_batches(chunk_size=BATCH, engine="streaming")
    return iter(found)
