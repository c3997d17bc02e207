"""What the page of thresholds is sent: the points of a policy with counts, and the codes at each step of a slider.

`view` is what a slider is drawn from while it moves; `selection` and `flips` are what `select` would write, and what
stands. None leaves a rule to the browser.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable
from efficient_empathy.scoring import dependence
from efficient_empathy.selection.policies import Policy, RulePolicy, RuleSelector, policy_words
from efficient_empathy.studio.pages.lab.points import Points, Reach, Rows, Sorter, count, reaches, read_rows
from efficient_empathy.studio.server.selections import (
    Choice,
    Codes,
    Selections,
    axes_of,
    scales_of,
)

_BATCH = 1 << 13
Table = npt.NDArray[np.float64]


def expected_counts(table: RunTable, rows: Rows, points: Points) -> pl.DataFrame | None:
    """Columns `point`, `other 0` (the category) and `n`; a category's sum is its number of scored samples.

    A sample without distributions counts at its scores. None where the axes have too many scores together.
    """
    if points.grid is None:
        return None
    names = [f"{axis.name}{PROBABILITIES}" for axis in rows.axes]
    columns = ["row", *names, *(["dependence"] if "dependence" in table.columns else [])]
    patterns, cells = points.grid.shape
    categories = rows.frame["place of"].to_numpy().astype(np.int64)
    samples, group = rows.frame["row"].to_numpy(), categories * patterns + points.pattern_of_rows
    sums = np.zeros((len(rows.categories) * patterns, cells))
    alone = np.zeros(len(samples), np.bool_)
    pairs = _pairs(table, rows)
    with readable(table.workspace.scores):
        for batch in table.scan(columns).collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
            _add(batch, names, pairs, (samples, group), sums, alone)
    counts = [(points.grid[g % patterns], g // patterns, sums[g]) for g in np.flatnonzero(sums.sum(axis=1))]
    parts = [
        pl.DataFrame({"point": at[n > 0], "other 0": np.full((n > 0).sum(), category), "n": n[n > 0]})
        for at, category, n in counts
    ]
    certain = pl.DataFrame({"point": points.of_rows[alone], "other 0": categories[alone]})
    parts.append(certain.with_columns(pl.lit(1.0).alias("n")))
    return pl.concat(parts).group_by("point", "other 0").agg(pl.col("n").sum()).sort("point", "other 0")


def _add(
    batch: pl.DataFrame,
    names: Sequence[str],
    pairs: Sequence[int],
    rows_and_groups: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]],
    sums: Table,
    alone: npt.NDArray[np.bool_],
) -> None:
    """Add a batch of the table to the sums of its groups; mark what has no distributions as `alone`."""
    samples, group = rows_and_groups
    first, last = np.searchsorted(samples, [batch["row"][0], batch["row"][-1] + 1]) if len(batch) else (0, 0)
    here = batch[(samples[first:last] - batch["row"][0]).astype(np.int64)] if last > first else batch.clear()
    whole = here.select(pl.all_horizontal(pl.col(names).is_not_null())).to_series().to_numpy()
    alone[first:last] = ~whole
    here, groups = here.filter(pl.Series(whole)), group[first:last][whole]
    for one in np.unique(groups):
        part = here.filter(pl.Series(groups == one))
        tables = [part[name].to_numpy().astype(np.float64) for name in names]
        tables = [t / t.sum(axis=1, keepdims=True) for t in tables]
        numbers = np.zeros((len(part), len(names) * (len(names) - 1) // 2))
        if pairs and "dependence" in part.columns:
            numbers = np.nan_to_num(part["dependence"].to_numpy().astype(np.float64)[:, pairs])
        counts = dependence.expected_counts(tables, numbers).ravel()
        sums[one] += counts * (len(part) / counts.sum())


def _pairs(table: RunTable, rows: Rows) -> list[int]:
    """Where the pairs of the drawn axes stand among all pairs of the rubric."""
    every = list(combinations(table.axis_names, 2))
    return [every.index(pair) for pair in combinations([axis.name for axis in rows.axes], 2)]


Kind = Literal["counted", "set", "limited", "expected", "ranked"]
"""What the points tell of a selection before `selection` says what it is. `counted`: rules on scores, so they tell all.
`set`: all but for the subsets that people set. `limited`: all but for how much may be synthetic. `expected`: rules on
the judge's distributions, so they tell about how many. `ranked`: a policy that takes the top, of which they tell
nothing."""
AT_ONCE = 100_000
"""Samples that are selected while the browser waits for its points."""
_MOST_VALUES = 8
_PATIENCE_S = 2
"""How long flips wait for views at most, each time."""
T = TypeVar("T")


@dataclass(frozen=True)
class Sorting:
    """The samples of a run in the points of one policy, with their counts."""

    key: str
    kind: Kind
    rows: Rows
    reach: tuple[Reach, ...]
    points: Points
    cells: pl.DataFrame
    expected: pl.DataFrame | None


class Latest(Generic[T]):
    """Values by key, made once; the last ones are held."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[object, ...], T] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """The value of a key."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > _MOST_VALUES:
            self._values.popitem(last=False)
        return self._values[key]


class Views:
    """What pages are sent; samples are sorted once for the same files and policy, and the last are held."""

    def __init__(self, selections: Selections) -> None:
        self.selections = selections
        self._rows: Latest[Rows] = Latest()
        self._sortings: Latest[Sorting] = Latest()
        self._slices: Latest[dict[str, Any]] = Latest()
        self._lock = threading.Lock()
        self._viewing, self._idle = 0, threading.Condition()

    def view(self, table: RunTable, choice: Choice, have: str = "") -> dict[str, Any]:
        """The points and their codes; without what follows from the samples alone where the browser `have`s it.

        It has that at each step, so then the selection comes with it, unless it takes long.
        """
        with self._first():
            return self._view(table, choice, have)

    @contextmanager
    def _first(self) -> Iterator[None]:
        """While this runs, nobody begins with flips."""
        with self._idle:
            self._viewing += 1
        try:
            yield
        finally:
            with self._idle:
                self._viewing -= 1
                self._idle.notify_all()

    def _view(self, table: RunTable, choice: Choice, have: str) -> dict[str, Any]:
        sorting = self._sort_samples(table, choice)
        policy, rows = choice.policy, sorting.rows
        selector = choice.selector(scales_of(table))
        view: dict[str, Any] = {
            "key": sorting.key,
            "kind": sorting.kind,
            "subsets": list(selector.subsets),
            "otherwise": selector.otherwise,
            "words": policy_words(policy),
            "thresholds": [_slider(reach, policy) for reach in sorting.reach],
        }
        if isinstance(policy, RulePolicy):
            view["codes"] = _pack(sorting.points.codes(policy))
            view["slices"] = {reach.name: self._slice(sorting, policy, reach) for reach in sorting.reach}
        if have == sorting.key:
            return view | (self.selection(table, choice) if len(rows.frame) <= AT_ONCE else {})
        return view | {
            "axes": [{"name": axis.name, "low": axis.low, "high": axis.high} for axis in rows.axes],
            "categories": list(rows.categories),
            "unnamed": rows.unnamed,
            "unscored": list(rows.unscored),
            "at": sorting.points.at.T.tolist(),
            "grid": None if sorting.points.grid is None else sorting.points.grid[0].tolist(),
            "cells": _columns(sorting.cells, "point", "category", "n"),
            "expected": None if sorting.expected is None else _columns(sorting.expected, "point", "category", "n"),
        }

    def _slice(self, sorting: Sorting, policy: RulePolicy, reach: Reach) -> dict[str, Any]:
        """The codes of every point at each value of one threshold, the others as they are: the same while it moves."""
        values = reach.values(policy.thresholds[reach.name])
        others = [(name, value) for name, value in policy.thresholds.items() if name != reach.name]
        key = (sorting.key, reach.name, *others, *values)
        with self._lock:
            return self._slices.get(key, lambda: _slice(sorting.points, policy, reach, values))

    def selection(self, table: RunTable, choice: Choice) -> dict[str, Any]:
        """What the policy selects: samples by point, category and subset."""
        sorting = self._sort_samples(table, choice)
        selection = self.selections.of(table, choice)
        codes = selection.codes[sorting.rows.frame["row"].to_numpy()]
        assignment = count(sorting.points.of_rows, sorting.rows.frame["place of"].to_numpy(), codes)
        return {
            "decided_on": selection.decided_on,
            "assignment": _columns(assignment, "point", "category", "code", "n"),
        }

    def flips(self, table: RunTable, choice: Choice, is_gone: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """What changes subset, by category, when one threshold moves by one: the differences of two selections.

        It lets views go first, and ends with what it has when whoever asked `is_gone`.
        """
        sorting = self._sort_samples(table, choice)
        rows = sorting.rows.frame["row"].to_numpy()
        categories = sorting.rows.frame["place of"].to_numpy()
        codes = self.selections.of(table, choice).codes[rows]
        flips = []
        for reach in sorting.reach:
            here = choice.policy.thresholds[reach.name]
            for by in (-1, 1):
                with self._idle:
                    self._idle.wait_for(lambda: not self._viewing, timeout=_PATIENCE_S)
                if is_gone():
                    return {"flips": []}
                to = reach.neighbour(here, by)
                codes_after = self._codes(table, choice, reach.name, to)[rows]
                differs = codes_after != codes
                pairs = count(codes[differs].astype(np.int64), codes_after[differs], categories[differs])
                moves = _columns(pairs, "from", "to", "category", "n")
                flips.append({"threshold": reach.name, "value": here, "to": to, "moves": moves})
        return {"flips": flips}

    def _codes(self, table: RunTable, choice: Choice, threshold: str, value: float) -> Codes:
        choice_after = replace(choice, policy=choice.policy.with_thresholds(**{threshold: value}))
        return self.selections.of(table, choice_after).codes

    def _sort_samples(self, table: RunTable, choice: Choice) -> Sorting:
        policy, kind = choice.policy, kind_of(table, choice)
        with self._lock:
            files = (table.workspace.root, table.version)
            rows = self._rows.get(
                (*files, axes_of(policy, scales_of(table)), policy.facts), lambda: read_rows(table, policy)
            )
            reach = reaches(policy, rows)
            sorter = Sorter(policy, rows, reach, spread=kind == "expected") if isinstance(policy, RulePolicy) else None
            positions = {name: one.tolist() for name, one in sorter.positions.items()} if sorter else {}
            identity = (*files, kind, {**policy.definition(), "thresholds": list(policy.thresholds)}, positions)
            key = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
            sorting = self._sortings.get((key,), lambda: _sort(table, key, kind, rows, sorter))
        return replace(sorting, reach=reach)


def kind_of(table: RunTable, choice: Choice) -> Kind:
    """What points tell of the choice. Raises `UserError` where the policy cannot decide so."""
    selector = choice.selector(scales_of(table))
    if not isinstance(selector, RuleSelector):
        return "ranked"
    if selector.by_probability(table.columns):
        return "expected"
    if choice.synthetic_share is not None:
        return "limited"
    return "set" if any(said.subset for said in table.said.standing.values()) else "counted"


def _sort(table: RunTable, key: str, kind: Kind, rows: Rows, sorter: Sorter | None) -> Sorting:
    points = sorter.points() if sorter else _places(rows)
    cells = count(points.of_rows, rows.frame["place of"].to_numpy())
    return Sorting(
        key, kind, rows, (), points, cells, expected_counts(table, rows, points) if kind == "expected" else None
    )


def _places(rows: Rows) -> Points:
    """Points by whole scores alone."""
    keys = rows.frame.select(axis.level().fill_null(0).alias(axis.name) for axis in rows.axes)
    unique = keys.unique(maintain_order=True).with_row_index("point")
    of_rows = keys.join(unique, on=keys.columns, how="left", maintain_order="left")["point"]
    at = unique.drop("point").to_numpy().astype(np.int32)
    return Points(at, {}, {}, of_rows.to_numpy().astype(np.int64), None, np.zeros(len(keys), np.int64))


def _slider(reach: Reach, policy: Policy) -> dict[str, Any]:
    return {
        "name": reach.name,
        "symbol": reach.symbol,
        "axes": list(reach.axes),
        "of": [FACTS[name].words if name in FACTS else name for name in reach.columns],
        "low": reach.low,
        "high": reach.high,
        "step": reach.step,
        "value": policy.thresholds[reach.name],
    }


def _slice(points: Points, policy: RulePolicy, reach: Reach, values: Sequence[float]) -> dict[str, Any]:
    codes = [points.codes(policy, {reach.name: value}) for value in values]
    return {"values": list(values), "codes": _pack(np.concatenate(codes))}


def _pack(codes: Codes) -> str:
    return base64.b64encode(codes.tobytes()).decode()


def _columns(frame: pl.DataFrame, *names: str) -> dict[str, list[Any]]:
    columns = [frame["point"], *(frame[c] for c in frame.columns if c.startswith("other ")), frame["n"]]
    return {name: column.to_list() for name, column in zip(names, columns, strict=True)}
