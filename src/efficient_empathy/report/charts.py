"""What the report's maps and histograms show: samples by score, one axis or two, exact or as expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.figures.looks import NEUTRAL
from efficient_empathy.foundation.figures.svg import Histogram, Map, ThresholdMark
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.table import PROBABILITIES, UNSCORED
from efficient_empathy.report.decision import Decision
from efficient_empathy.scoring.dependence import expected_counts
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.selection.policies.conditions import on_columns

LEVELS_SHOWN = 101
"""Axes with more whole numbers than this get no histogram."""
MAP_LEVELS = 21
"""Axes with more whole numbers than this get no map."""
MAPS_SHOWN = 6
"""Maps on one page."""
MOST_CELLS = 50_000
"""Combinations of scores that are counted together."""
MOST_CASES = 1 << 22
"""Combinations of scores and facts that a map's cells are looked up for."""
BATCH = 1 << 17

Counts = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AxisSummary:
    """How the scores on one axis lie; None where there are none."""

    name: str
    low: int
    high: int
    mean: float | None
    std: float | None
    quartiles: tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Charts:
    """The figures of the scores. `maps_left_out` are pairs that would have a map of their own."""

    axes: list[AxisSummary]
    maps: list[Map] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    maps_left_out: list[str] = field(default_factory=list)


def charts(decision: Decision) -> Charts:
    """The maps of the axes that the policy looks at, two at a time, and every axis by itself."""
    axes = [summary(decision, axis) for axis in decision.table.axes]
    pairs = [pair for pair in combinations(decision.axes, 2) if max(len(a.values) for a in pair) <= MAP_LEVELS]
    pairs = [_in_order(decision, pair) for pair in pairs]
    single = [axis for axis in decision.table.axes if len(axis.values) <= LEVELS_SHOWN]
    counts = _counts(decision, [*pairs[:MAPS_SHOWN], *((axis,) for axis in single)])
    return Charts(
        axes,
        [_map(decision, y, x, counts[y, x]) for y, x in pairs[:MAPS_SHOWN]],
        [_histogram(decision, axis, axes, counts[axis,]) for axis in single],
        [f"{y.name} against {x.name}" for y, x in pairs[MAPS_SHOWN:]],
    )


def summary(decision: Decision, axis: Axis) -> AxisSummary:
    """Mean, spread and quartiles of one axis."""
    score = pl.col(axis.name).cast(pl.Float64)
    quartiles = [score.quantile(q, "nearest").alias(f"{q}") for q in (0.25, 0.5, 0.75)]
    rows = decision.table.scan([axis.name]).drop_nulls()
    row = rows.select(score.mean().alias("mean"), score.std().alias("std"), *quartiles).collect(engine="streaming")
    mean, std, low, middle, high = row.row(0)
    return AxisSummary(axis.name, axis.low, axis.high, mean, std, (low, middle, high))


def _in_order(decision: Decision, pair: tuple[Axis, Axis]) -> tuple[Axis, Axis]:
    """The axis that comes first in the rubric goes upwards."""
    first, second = sorted(pair, key=decision.table.axes.index)
    return first, second


def _map(decision: Decision, y: Axis, x: Axis, counts: Counts) -> Map:
    cells = _cells(decision, y, x)
    largest = np.where(counts.sum(axis=0) > 0, counts.argmax(axis=0), -1)
    return Map(
        x,
        y,
        counts.sum(axis=0),
        subsets=decision.subsets if cells is not None else (),
        codes=cells,
        largest=largest,
        marks_x=_marks(decision, x),
        marks_y=_marks(decision, y),
    )


def _histogram(decision: Decision, axis: Axis, axes: Sequence[AxisSummary], counts: Counts) -> Histogram:
    mean = next(one.mean for one in axes if one.name == axis.name)
    by_subset = decision.selector is not None and len(counts) == len(decision.subsets)
    return Histogram(axis, mean, counts, decision.subsets if by_subset else (NEUTRAL,), _marks(decision, axis))


def _marks(decision: Decision, axis: Axis) -> tuple[ThresholdMark, ...]:
    """The thresholds that an axis is compared with."""
    if decision.rules is None:
        return ()
    policy = decision.rules.policy
    return tuple(
        ThresholdMark(display_symbol(name), value)
        for name, value in policy.thresholds.items()
        if axis.name in policy.threshold_axes[name]
    )


def _cells(decision: Decision, y: Axis, x: Axis) -> npt.NDArray[np.int16] | None:
    """The subset's place at `[y, x]`, -1 where other axes or facts decide; None for a policy without such cells."""
    rules = decision.rules
    if rules is None:
        return None
    others = [axis for axis in decision.table.axes if axis.name in rules.axes and axis not in (x, y)]
    cases = prod(len(axis.values) for axis in others) << len(rules.fact_atoms)
    if cases * len(x.values) * len(y.values) > MOST_CASES:
        return None
    scores = [[(axis.name, value) for value in axis.values] for axis in others]
    facts = [[(text, truth) for truth in (False, True)] for text in rules.fact_atoms]
    codes = [rules.cells(y.name, x.name, dict(case)) for case in product(*scores, *facts)]
    lowest, highest = np.minimum.reduce(codes), np.maximum.reduce(codes)
    return np.where(lowest == highest, lowest.astype(np.int16), np.int16(-1))


def _counts(decision: Decision, groups: Sequence[tuple[Axis, ...]]) -> dict[tuple[Axis, ...], Counts]:
    """Per group of axes how many samples each subset has at each combination of their scores, (subsets, …)."""
    if decision.shows_expectations:
        return _expected_counts(decision, groups)
    frames = [
        decision.subset_rows(*(axis.name for axis in axes))
        .filter(pl.col("subset") != UNSCORED)
        .drop_nulls([axis.name for axis in axes])
        .group_by("subset", *(axis.level().alias(f"level {k}") for k, axis in enumerate(axes)))
        .agg(pl.len())
        for axes in groups
    ]
    counts = {axes: _zeros(decision, axes) for axes in groups}
    for axes, frame in zip(groups, pl.collect_all(frames, engine="streaming"), strict=True):
        places = [frame[f"level {k}"].to_numpy() for k in range(len(axes))]
        np.add.at(counts[axes], (_codes(decision, frame["subset"]), *places), frame["len"].to_numpy())
    return counts


def _zeros(decision: Decision, axes: Sequence[Axis]) -> Counts:
    return np.zeros((len(decision.subsets), *(len(axis.values) for axis in axes)))


def _codes(decision: Decision, subsets: pl.Series) -> npt.NDArray[np.int64]:
    names = list(decision.subsets)
    return subsets.replace_strict(names, list(range(len(names))), return_dtype=pl.Int64).to_numpy()


def _expected_counts(decision: Decision, groups: Sequence[tuple[Axis, ...]]) -> dict[tuple[Axis, ...], Counts]:
    """`_counts` as the judge's distributions expect them.

    Axes that cannot be counted together with those that decide have one count for all subsets.
    """
    together = _axes_together(decision)
    shape = tuple(len(axis.values) for axis in together)
    by_subset = _zeros(decision, together)
    for pattern, joint in _joint_counts(decision, together, by_fact=True).items():
        codes = np.broadcast_to(_grid(decision, together, pattern), shape)
        for code in range(len(decision.subsets)):
            by_subset[code] += np.where(codes == code, joint, 0)
    counts = {}
    for axes in groups:
        if set(axes) <= set(together):
            counts[axes] = by_subset.sum(axis=tuple(k + 1 for k, axis in enumerate(together) if axis not in axes))
        else:
            counts[axes] = sum(_joint_counts(decision, axes, by_fact=False).values(), _zeros(decision, axes)[:1])
    return counts


def _axes_together(decision: Decision) -> list[Axis]:
    """As many axes as can be counted together in the rubric's order: those that the policy looks at go first."""
    decisive = set(decision.rules.axes) if decision.rules else set()
    candidates = sorted(decision.table.axes, key=lambda a: (a.name not in decisive, a not in decision.axes))
    together: list[Axis] = []
    for axis in candidates:
        if axis.name in decisive or prod(len(a.values) for a in (*together, axis)) <= MOST_CELLS:
            together.append(axis)
    return sorted(together, key=decision.table.axes.index)


def _grid(decision: Decision, together: Sequence[Axis], pattern: Sequence[bool]) -> Codes:
    """Each combination's subset, in a shape that fits the axes that are counted together."""
    if decision.rules is None:
        return np.zeros([1] * len(together), dtype=np.uint8)
    codes = decision.rules.grid_codes(dict(zip(decision.rules.fact_atoms, pattern, strict=True)))
    return codes.reshape([len(axis.values) if axis.name in decision.rules.axes else 1 for axis in together])


def _joint_counts(decision: Decision, axes: Sequence[Axis], *, by_fact: bool) -> dict[tuple[bool, ...], Counts]:
    """The samples expected at each combination of scores, by which of the policy's comparisons with facts hold.

    A sample without a distribution counts at its score.
    """
    table = decision.table
    atoms = decision.rules.fact_atoms if decision.rules and by_fact else {}
    facts = decision.rules.policy.facts if decision.rules and by_fact else ()
    columns = [f"{axis.name}{PROBABILITIES}" for axis in axes]
    pairs = list(combinations(table.axis_names, 2))
    places = [pairs.index((a.name, b.name)) for a, b in combinations(axes, 2)] if DEPENDENCE in table.columns else []
    names = dict.fromkeys(["state", *table.axis_names, *columns, *facts, *([DEPENDENCE] if places else [])])
    rows = table.scan(names).filter(table.scored)
    counts: dict[tuple[bool, ...], Counts] = {}
    for batch in _batches(rows.with_columns(on_columns(atom).alias(text) for text, atom in atoms.items())):
        for key, part in batch.partition_by(list(atoms), as_dict=True).items() if atoms else [((), batch)]:
            joint = counts.setdefault(tuple(map(bool, key)), np.zeros([len(axis.values) for axis in axes]))
            _add(joint, part, axes, columns, places)
    return counts


def _add(
    joint: Counts, rows: pl.DataFrame, axes: Sequence[Axis], columns: Sequence[str], places: Sequence[int]
) -> None:
    has_all = rows.select(pl.all_horizontal(pl.col(columns).is_not_null())).to_series()
    tables, others = rows.filter(has_all), rows.filter(~has_all)
    if len(tables):
        dependence = np.nan_to_num(tables[DEPENDENCE].to_numpy().astype(np.float64)[:, places]) if places else 0.0
        joint += expected_counts([tables[column].to_numpy() for column in columns], dependence)
    levels = others.select(axis.level().alias(axis.name) for axis in axes)
    np.add.at(joint, tuple(levels[axis.name].to_numpy() for axis in axes), 1)


def _batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    batches: Any = frame.collect_batches(chunk_size=BATCH, engine="streaming")
    return iter(batches)
