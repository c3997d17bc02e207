"""The points that Thresholds counts: samples that no threshold of a policy tells apart, and the subset of each point.

A policy compares axes and facts with its thresholds, and does not change in all else. So samples with the same scores
between the values that its thresholds can take, and with the same truth of all other comparisons, go the same way: they
are one point, and a browser can count any step of a slider from the points and their codes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.facts import FACTS, Axis
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import RunTable, scored_on
from efficient_empathy.selection.policies import Policy, RulePolicy, display_symbol
from efficient_empathy.selection.policies.conditions import (
    Atom,
    Number,
    holds,
    looks_at_facts,
    on_arrays,
)
from efficient_empathy.studio.server.selections import UNCATEGORISED, Codes, axes_of, scales_of

CATEGORIES = 200
"""The largest categories that are told apart; all others are counted together."""
STEPS = (0.5, 1, 2, 5, 10)
MOST_STEPS = 60
"""Steps of a slider; its step is the first of `STEPS` that needs no more."""
MOST_FILLERS, SPREAD = 4096, 1 << 16
"""Combinations of whole scores that are points also where no sample is, so that a map shows their subset; and as many
over which distributions are added up."""
_MOST_BINS = 1 << 20
"""Combinations that are counted by their number; where more are possible, they are sorted."""
Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a threshold can be moved, from `low` to `high`, and the axes and facts that it is compared with."""

    name: str
    low: float
    high: float
    step: float
    columns: tuple[str, ...]
    axes: tuple[str, ...]

    @property
    def symbol(self) -> str:
        """What it is called on the page."""
        return display_symbol(self.name)

    def values(self, here: float) -> list[float]:
        """Every value that the slider can take, with `here` and its two neighbours at a distance of one."""
        grid = np.arange(self.low, self.high + self.step / 2, self.step)
        near = [self.neighbour(here, by) for by in (-1, 0, 1)]
        return sorted({*(float(value) for value in grid), *near})

    def neighbour(self, here: float, by: float) -> float:
        """The value that is `by` further, within the slider."""
        return float(min(max(self.high, here), max(min(self.low, here), here + by)))


@dataclass(frozen=True)
class Rows:
    """The samples of a run as a policy sees them: those with scores on its axes, and how many each category lacks."""

    axes: tuple[Axis, ...]
    frame: pl.DataFrame
    """Of scored samples: `row`, `place of` (its category in `categories`), and what the policy looks at by name."""
    categories: tuple[str, ...]
    unscored: tuple[int, ...]

    @property
    def unnamed(self) -> list[int]:
        """Places of what is no one category: all of those beyond the largest together."""
        return list(range(CATEGORIES, len(self.categories)))


def read_rows(table: RunTable, policy: Policy, extra: Sequence[str] = ()) -> Rows:
    """The rows of a run for a policy, with `extra` columns of the table; a policy without axes is drawn on all."""
    scales = scales_of(table)
    compared_axes = axes_of(policy, scales)
    axes = tuple(axis for axis in table.axes if axis.name in (compared_axes or scales))
    columns = dict.fromkeys(["row", "state", "category", *(a.name for a in axes), *policy.facts, *extra])
    with readable(table.workspace.root):
        frame = (
            table.scan(columns)
            .with_columns(
                pl.col("category").fill_null(UNCATEGORISED).alias("place of"),
                scored_on(compared_axes).alias("has scores"),
            )
            .collect(engine="streaming")
        )
    categories, places = _categories(frame["place of"])
    place = frame["place of"].replace_strict(places, default=len(categories) - 1, return_dtype=pl.UInt32)
    frame = frame.with_columns(place)
    lacking = frame.filter(~pl.col("has scores"))["place of"].to_numpy()
    unscored = np.bincount(lacking, minlength=len(categories))
    return Rows(axes, frame.filter("has scores"), categories, tuple(unscored.tolist()))


def reaches(policy: Policy, rows: Rows) -> tuple[Reach, ...]:
    """The sliders of a policy's thresholds, in its order."""
    scales = {axis.name: (axis.low, axis.high) for axis in rows.axes}
    result = []
    for name, here in policy.thresholds.items():
        columns = dict.fromkeys(column for atom in _moving(policy, name) for column in atom.columns)
        span = policy.threshold_range(name, scales) or _span_of_facts([c.name for c in columns], rows.frame)
        low, high = min(span[0], here), max(span[1], here)
        whole = not policy.threshold_axes[name]
        step = next(
            (s for s in STEPS[whole:] if (high - low) / s <= MOST_STEPS), float(ceil((high - low) / MOST_STEPS))
        )
        result.append(Reach(name, low, high, step, tuple(c.name for c in columns), policy.threshold_axes[name]))
    return tuple(result)


@dataclass(frozen=True)
class Points:
    """The points of a policy's rules, what each looks like to a rule, and the point of every scored sample.

    `at` are each point's whole scores, as positions on the axes, (points, axes). `of_rows` has a point per row of
    `Rows.frame`.
    """

    at: npt.NDArray[np.int32]
    truths: Mapping[str, npt.NDArray[np.bool_]]
    """Where the comparisons without a threshold hold, by their text."""
    values: Mapping[str, Values]
    """A value per point that compares as its samples' do, by axis or fact."""
    of_rows: npt.NDArray[np.int64]
    grid: npt.NDArray[np.int64] | None
    """The point of every combination of whole scores (the last axis runs fastest) under each pattern of facts."""
    pattern_of_rows: npt.NDArray[np.int64]

    def codes(self, policy: RulePolicy, thresholds: Mapping[str, float] | None = None) -> Codes:
        """The subset of each point, as its position in the policy's subsets; `thresholds` in place of its own."""

        def truth(atom: Atom) -> npt.NDArray[np.bool_]:
            constant = self.truths.get(str(atom))
            return on_arrays(atom, self.values) if constant is None else constant

        conditions = [holds(tree, truth) for tree in policy.trees_at(thresholds or {})]
        choices = [np.uint8(code) for code in policy.rule_codes]
        codes = np.select(conditions, choices, np.uint8(policy.otherwise_code))
        return np.broadcast_to(codes, (len(self.at),)).astype(np.uint8)


class Sorter:
    """Sorts scored samples into points for one policy, within the reach of its thresholds.

    With `spread`, scores count as the nearest whole ones: that is where distributions are added up.
    """

    def __init__(self, policy: RulePolicy, rows: Rows, reach: Sequence[Reach], *, spread: bool = False) -> None:
        self.policy, self.rows, self.reach, self.spread = policy, rows, reach, spread
        self.constants = [atom for atom in policy.atoms() if not _thresholds(atom)]

    @cached_property
    def positions(self) -> dict[str, npt.NDArray[np.float64]]:
        """By column that a threshold is compared with: the values that tell its scores apart."""
        values: dict[str, set[float]] = {}
        for reach in self.reach:
            for column in reach.columns:
                values.setdefault(column, set()).update(reach.values(self.policy.thresholds[reach.name]))
        for atom in self.policy.atoms():
            if _thresholds(atom):
                values[atom.left.name].update(c.value for c in atom.constants if isinstance(c, Number))
        kinds = {name: np.float32 if name not in FACTS else np.float64 for name in values}
        return {name: np.unique(np.array(sorted(v), kinds[name])).astype(np.float64) for name, v in values.items()}

    def points(self) -> Points:
        """Sort the rows."""
        keys = self._keys(self._columns())
        about_facts = [f"truth {i}" for i, atom in enumerate(self.constants) if looks_at_facts(atom)]
        about_facts += [f"level {name}" for name in self.positions if name in FACTS]
        patterns = _patterns(keys, about_facts, everything=self.spread)
        fillers = self._fillers(keys, patterns)
        unique = pl.concat([keys, fillers]).unique(maintain_order=True)
        numbers = unique.with_row_index("point")
        of_rows, of_grid = (
            frame.join(numbers, on=keys.columns, how="left", maintain_order="left")["point"].to_numpy().astype(np.int64)
            for frame in (keys, fillers)
        )
        at = unique.select(pl.col(f"at {axis.name}") for axis in self.rows.axes).to_numpy().astype(np.int32)
        truths = {str(atom): unique[f"truth {i}"].to_numpy() for i, atom in enumerate(self.constants)}
        values = {name: _representatives(unique[f"level {name}"], p) for name, p in self.positions.items()}
        grid = of_grid.reshape(len(patterns), -1) if len(fillers) else None
        rows = np.zeros(len(keys), np.int64)
        if about_facts:
            numbered_patterns = patterns.with_row_index("pattern")
            by_row = keys.select(about_facts).join(numbered_patterns, on=about_facts, how="left", maintain_order="left")
            rows = by_row["pattern"].fill_null(0).to_numpy().astype(np.int64)
        return Points(at, truths, values, of_rows, grid, rows)

    def _columns(self) -> dict[str, Values]:
        """What the policy looks at, as arrays; scores are rounded where they are spread."""
        columns: dict[str, Values] = {}
        for axis in self.rows.axes:
            scores = self.rows.frame[axis.name].cast(pl.Float32)
            columns[axis.name] = (scores.round().clip(axis.low, axis.high) if self.spread else scores).to_numpy()
        for fact in self.policy.facts:
            column = self.rows.frame[fact]
            text = FACTS[fact].is_text
            columns[fact] = np.array(column.to_list(), object) if text else column.cast(pl.Float64).to_numpy()
        return columns

    def _keys(self, columns: Mapping[str, Values]) -> pl.DataFrame:
        """What tells points apart, a row a sample."""
        keys: dict[str, pl.Series | Values] = {}
        for axis in self.rows.axes:
            whole = pl.Series(columns[axis.name]).cast(pl.Float64).round().clip(axis.low, axis.high).fill_nan(axis.low)
            keys[f"at {axis.name}"] = whole.fill_null(axis.low).cast(pl.Int32) - axis.low
        for name, positions in self.positions.items():
            keys[f"level {name}"] = _levels(columns[name], positions)
        for i, atom in enumerate(self.constants):
            keys[f"truth {i}"] = np.broadcast_to(on_arrays(atom, columns), (len(self.rows.frame),))
        return pl.DataFrame(keys)

    def _fillers(self, keys: pl.DataFrame, patterns: pl.DataFrame) -> pl.DataFrame:
        """Every combination of whole scores under each of these patterns of facts; none where there are too many."""
        axes = self.rows.axes
        size = int(np.prod([len(axis.values) for axis in axes], dtype=np.float64))
        if not len(patterns) or size * len(patterns) > (SPREAD if self.spread else MOST_FILLERS):
            return keys.clear()
        grid = np.meshgrid(*(np.array(axis.values, np.float32) for axis in axes), indexing="ij")
        columns: dict[str, Values] = {axis.name: one.ravel() for axis, one in zip(axes, grid, strict=True)}
        cells: dict[str, Any] = {f"at {axis.name}": (columns[axis.name] - axis.low).astype(np.int32) for axis in axes}
        cells |= {f"level {name}": _levels(columns[name], p) for name, p in self.positions.items() if name not in FACTS}
        cells |= {
            f"truth {i}": np.broadcast_to(on_arrays(atom, columns), (size,))
            for i, atom in enumerate(self.constants)
            if not looks_at_facts(atom)
        }
        rows = patterns.join(pl.DataFrame(cells), how="cross", maintain_order="left_right")
        return rows.select(keys.columns).cast(keys.schema)


def _patterns(keys: pl.DataFrame, about_facts: list[str], *, everything: bool) -> pl.DataFrame:
    """The patterns of facts among the samples, the most frequent first; that one alone unless `everything`."""
    if not about_facts:
        return pl.DataFrame({"one": [True]}) if len(keys) else pl.DataFrame({"one": pl.Series([], dtype=pl.Boolean)})
    by, descending = ["len", *about_facts], [True, *[False] * len(about_facts)]
    counts = keys.group_by(about_facts).len().sort(by, descending=descending)
    return (counts if everything else counts.head(1)).select(about_facts)


def count(places: npt.NDArray[np.int64], *others: npt.NDArray[Any]) -> pl.DataFrame:
    """How often each combination of `places` and `others` is there: columns `point`, `other 0` …, `n`.

    All are whole numbers from 0.
    """
    columns = [column.astype(np.int64) for column in (places, *others)]
    shape = [int(column.max(initial=0)) + 1 for column in columns]
    numbers = np.ravel_multi_index(columns, shape)
    if prod(shape) <= _MOST_BINS:
        bins = np.bincount(numbers)
        there = np.flatnonzero(bins)
        counts = bins[there]
    else:
        there, counts = np.unique(numbers, return_counts=True)
    names = ["point", *(f"other {i}" for i in range(len(others)))]
    return pl.DataFrame({**dict(zip(names, np.unravel_index(there, shape), strict=True)), "n": counts})


def _moving(policy: Policy, threshold: str) -> list[Atom]:
    return [atom for atom in policy.atoms() if threshold in _thresholds(atom)]


def _thresholds(atom: Atom) -> set[str]:
    return {c.threshold for c in atom.constants if isinstance(c, Number) and c.threshold}


def _span_of_facts(names: Sequence[str], frame: pl.DataFrame) -> tuple[float, float]:
    lowest = [frame[name].cast(pl.Float64).min() for name in names]
    highest = [frame[name].cast(pl.Float64).max() for name in names]
    low, high = ([float(v) for v in side if isinstance(v, int | float)] for side in (lowest, highest))
    return (min(low) - 1, max(high) + 1) if low and high else (0, 1)


def _levels(values: Values, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """2 i + 1 at `positions[i]`, 2 i between `positions[i - 1]` and `positions[i]`, −1 for what is absent."""
    numbers = np.asarray(values, np.float64)
    after = np.searchsorted(positions, numbers)
    equal = positions[np.minimum(after, len(positions) - 1)] == numbers
    return np.where(np.isnan(numbers), -1, 2 * after + equal).astype(np.int32)


def _representatives(levels: pl.Series, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A number for each level that compares with every position as all of the level do; NaN for what is absent."""
    number = levels.to_numpy()
    edges = np.concatenate([[positions[0] - 2], positions, [positions[-1] + 2]])
    between = (edges[:-1] + edges[1:]) / 2
    half = np.maximum(number, 0) // 2
    at = positions[np.minimum(half, len(positions) - 1)]
    return np.where(number < 0, np.nan, np.where(number % 2 == 1, at, between[half]))


def _categories(column: pl.Series) -> tuple[tuple[str, ...], dict[str, int]]:
    """The categories by name, beyond the largest one for all others; and the place of each that is told apart."""
    sizes = column.alias("name").to_frame().group_by("name").len().sort(["len", "name"], descending=[True, False])
    names = sorted(sizes["name"].head(CATEGORIES).to_list())
    others = len(sizes) - len(names)
    places = {name: place for place, name in enumerate(names)}
    return (*names, *([f"{others:,} others"] if others else [])), places
