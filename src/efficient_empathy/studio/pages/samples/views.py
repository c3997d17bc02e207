"""Filters on the samples of a run, the rows that pass them in an order, and how many there are of each kind."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.samples.index import FACETS, SCALE, SampleIndex
from efficient_empathy.studio.pages.samples.texts import Texts

FAILED = "failed"
"""The filter on `state` that takes every kind of failure."""
FAILURES = ("parse_error", "api_error", "refused")
TEXT_LIMIT = 200
"""Characters of a text that is searched for."""
FOUND_LIMIT = 10_000
"""A search ends when it has found so many."""
NAMES_LIMIT = 300
"""Values of one column that are counted by name; the largest ones."""
MAP = ("s", "r", "cells")
"""The filters on the map."""
POSITION, DISAGREEMENT = "position", "disagreement"
_HELD = 8
Rows = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Filters:
    """What is shown, and in which order.

    `s` and `r` are the lowest and the highest whole score, `cells` single pairs of whole scores; `apart` is the least
    disagreement of pooled judgements; `below` what the probability of the most probable subset must stay under. `sort`
    is `position`, `disagreement` or an axis.
    """

    subset: str = ""
    category: str = ""
    state: str = ""
    split: str = ""
    answered_by: str = ""
    s: tuple[int, int] | None = None
    r: tuple[int, int] | None = None
    cells: tuple[tuple[int, int], ...] = ()
    apart: float | None = None
    below: float | None = None
    text: str = ""
    sort: str = POSITION
    descending: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        """From a query string: names as here, but `q` for the text, `p` for `below`, `order=desc`; `s=6-10`,
        `cells=7-3,8-3` (sensibility first).

        Raises `UserError` for a value that is none.
        """
        return cls(
            **{name: query.get(name, "") for name in FACETS},
            s=_span(query, "s"),
            r=_span(query, "r"),
            cells=_cells(query),
            apart=_number(query, "apart"),
            below=_number(query, "p"),
            text=query.get("q", "").strip()[:TEXT_LIMIT],
            sort=query.get("sort") or POSITION,
            descending=query.get("order") == "desc",
        )

    def condition(self, index: SampleIndex, *without: str) -> pl.Expr:
        """Whether a row of the index passes all but the filters named `without`; the text is no part of it."""
        parts = [self._has(index, name) for name in FACETS if getattr(self, name) and name not in without]
        if not set(MAP) & set(without):
            parts += self._in_cells() if index.mapped else [pl.lit(False)] * any(getattr(self, name) for name in MAP)
        if self.apart is not None:
            parts.append(pl.col(DISAGREEMENT) >= self.apart if DISAGREEMENT in index.frame.columns else pl.lit(False))
        if self.below is not None:
            parts.append(pl.col("certainty") < self.below if "certainty" in index.frame.columns else pl.lit(False))
        return pl.all_horizontal(pl.col("state").is_not_null(), *parts).fill_null(False)

    def _in_cells(self) -> list[pl.Expr]:
        parts = [pl.col(name).is_between(*span) for name, span in (("s", self.s), ("r", self.r)) if span]
        if self.cells:
            numbers = [SCALE * s + r for s, r in self.cells]
            parts.append((pl.col("s").cast(pl.UInt16) * SCALE + pl.col("r")).is_in(numbers))
        return parts

    def _has(self, index: SampleIndex, name: str) -> pl.Expr:
        value: str = getattr(self, name)
        known = index.values(name)
        wanted = [v for v in (FAILURES if name == "state" and value == FAILED else (value,)) if v in known]
        return pl.any_horizontal(*(pl.col(name) == v for v in wanted)) if wanted else pl.lit(False)


class View:
    """The rows that pass, in order. With a text they are found step by step, in the order of the file."""

    def __init__(self, index: SampleIndex, filters: Filters) -> None:
        self._index, self._filters = index, filters
        self._texts = Texts(index.workspace)
        self._candidates: Rows = _rows(index, filters)
        self._found: list[Rows] = []
        self._searched, self._hits = 0, 0
        self._sorted: tuple[int, Rows] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._hits if self._filters.text else len(self._candidates)

    @property
    def ended(self) -> bool:
        """Whether nothing more will be found."""
        return not self._filters.text or self._searched == len(self._candidates) or self._hits >= FOUND_LIMIT

    def search(self, seconds: float) -> None:
        """Go on searching for so long, or to the end."""
        until = time.monotonic() + seconds
        with self._lock:
            while not self.ended:
                rows, hits = self._texts.matches(self._candidates[self._searched :], self._filters.text)
                hits = hits[: FOUND_LIMIT - self._hits]
                self._searched += rows
                self._hits += len(hits)
                self._found.append(hits)
                if time.monotonic() >= until:
                    return

    def progress(self) -> dict[str, Any]:
        """How far a search is: `searched` of `of` rows that pass the other filters; `found`, `ended`, `capped`."""
        return {
            "searched": self._searched,
            "of": len(self._candidates),
            "found": len(self),
            "ended": self.ended,
            "capped": bool(self._filters.text) and self._hits >= FOUND_LIMIT,
        }

    def page(self, offset: int, limit: int) -> list[int]:
        """Row numbers from a place in the view on."""
        found: list[int] = self._ordered()[offset : offset + limit].tolist()
        return found

    def place(self, row: int) -> int | None:
        """Where a row is in the view; None where it is not."""
        places = np.flatnonzero(self._ordered() == row)
        return int(places[0]) if len(places) else None

    def _ordered(self) -> Rows:
        with self._lock:
            if self._sorted is None or self._sorted[0] != len(self):  # a search has found more
                rows = np.concatenate([np.zeros(0, np.uint32), *self._found])
                self._sorted = (
                    len(self),
                    _in_order(self._index, self._filters, rows if self._filters.text else self._candidates),
                )
            return self._sorted[1]


@dataclass
class Views:
    """The views that were looked at last; those of a run whose files have changed are dropped as others come."""

    _known: OrderedDict[tuple[object, ...], View] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, index: SampleIndex, filters: Filters) -> View:
        """The view of a run under filters. Raises `UserError` for an order that it cannot be in."""
        key = (index.workspace.root, index.key, filters)
        with self._lock:
            if key not in self._known:
                self._known[key] = View(index, filters)
                while len(self._known) > _HELD:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


def counts(index: SampleIndex, filters: Filters) -> dict[str, Any]:
    """How many samples there are of each kind: `matching` under all filters but the text, and for each filter what any
    other value of it would give: `facets` {name: [[value, count], …]} and `map` [[s, r, count], …].
    """
    passing = index.frame.filter(filters.condition(index))

    def but(*names: str) -> pl.DataFrame:
        filtered = any(getattr(filters, name) for name in names)
        return index.frame.filter(filters.condition(index, *names)) if filtered else passing

    facets = {}
    for name in FACETS:
        found = but(name).group_by(name).len().drop_nulls()
        told = found.sort(pl.col("len"), pl.col(name).cast(pl.String), descending=[True, False]).head(NAMES_LIMIT)
        facets[name] = [[value, count] for value, count in told.iter_rows()]
    cells = []
    if index.mapped:
        rows = but(*MAP).group_by("s", "r").len().drop_nulls()
        cells = [list(row) for row in rows.sort("s", "r").iter_rows()]
    return {"matching": len(passing), "facets": facets, "map": cells}


def orders(index: SampleIndex) -> list[str]:
    """What the samples can be sorted by."""
    doubtful = {DISAGREEMENT, "certainty"} & set(index.frame.columns)
    return [POSITION, *index.axes, *([DISAGREEMENT] if doubtful else [])]


def _rows(index: SampleIndex, filters: Filters) -> Rows:
    if filters.sort not in orders(index):
        raise UserError(f"samples cannot be sorted by {filters.sort!r}: choose one of {', '.join(orders(index))}")
    if replace(filters, text="", sort=POSITION, descending=False) == Filters():
        return np.arange(len(index.frame), dtype=np.uint32)
    rows: Rows = index.frame.select(filters.condition(index).arg_true()).to_series().to_numpy()
    return rows


def _in_order(index: SampleIndex, filters: Filters, rows: Rows) -> Rows:
    """Rows by what they are sorted by, and rows that tie or lack it in the order of the file."""
    if filters.sort == POSITION:
        return rows[::-1] if filters.descending else rows
    name, descending = filters.sort, filters.descending
    if name == DISAGREEMENT and DISAGREEMENT not in index.frame.columns:
        name, descending = "certainty", not descending  # the more certain, the less disagreement
    keys = index.frame[name].gather(rows)
    order = keys.to_frame().select(pl.arg_sort_by(name, descending=descending, nulls_last=True, maintain_order=True))
    ordered: Rows = rows[order.to_series().to_numpy()]
    return ordered


def _span(query: Mapping[str, str], name: str) -> tuple[int, int] | None:
    told = query.get(name)
    if not told:
        return None
    with _none(name, told, f"two whole numbers from 0 to {SCALE - 1}, such as 6-10"):
        low, _, high = told.partition("-")
        span = int(low), int(high or low)
        if not 0 <= span[0] <= span[1] < SCALE:
            raise ValueError
        return span


def _cells(query: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    told = query.get("cells")
    if not told:
        return ()
    with _none("cells", told, "pairs of whole scores, such as 7-3,8-3"):
        pairs = {tuple(map(int, pair.split("-"))) for pair in told.split(",")[: SCALE * SCALE]}
        found = sorted((s, r) for s, r in pairs)
        if not all(0 <= score < SCALE for pair in found for score in pair):
            raise ValueError
        return tuple(found)


def _number(query: Mapping[str, str], name: str) -> float | None:
    told = query.get(name)
    if not told:
        return None
    with _none(name, told, "a number"):
        if not math.isfinite(number := float(told)):
            raise ValueError
        return number


@contextmanager
def _none(name: str, told: str, what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{name} is {told[:40]!r}: it must be {what}") from error
