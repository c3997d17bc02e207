"""Filters on the samples of a run, the rows that pass them in an order, and how many there are of each kind."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrected import LISTS
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.selection.policies.conditions import number_text
from efficient_empathy.studio.pages.samples.index import (
    CERTAINTY,
    DISAGREEMENT,
    FACETS,
    SampleIndex,
    level_column,
    score_column,
)
from efficient_empathy.studio.pages.samples.search import Search
from efficient_empathy.studio.server.selections import Choice, Codes, Selections, choice_of, number_of

ANY_FAILURE = "failed"
"""The filter on `state` that takes every kind of failure."""
ANY = "*"
"""The filter on one of `LISTS` that takes whatever has any."""
FAILURES = ("parse_error", "api_error", "refused")
TEXT_LIMIT = 200
"""Characters of a text that is searched for."""
NAMES_LIMIT = 300
"""Values of one column that are counted by name; the largest ones."""
SPANS = "spans"
"""The filters on scores."""
POSITION = "position"
_MOST_VIEWS = 8
Rows = npt.NDArray[np.uint32]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Move:
    """What changes subset between two choices that differ in one threshold: from a subset to another."""

    choice: Choice
    threshold: str
    value: float
    subsets: tuple[str, str]

    @property
    def key(self) -> tuple[object, ...]:
        """The same for moves of the same samples."""
        return self.choice.key, self.threshold, self.value, self.subsets

    @property
    def sentence(self) -> str:
        """For example "go from discard to rationality when β goes from 5 to 6 under paper"."""
        here = number_text(self.choice.policy.thresholds[self.threshold])
        step = f"{display_symbol(self.threshold)} goes from {here} to {number_text(self.value)}"
        return f"go from {self.subsets[0]} to {self.subsets[1]} when {step} under {self.choice.policy.label}"

    def rows(self, index: SampleIndex, selections: Selections) -> pl.Series:
        """Which samples of the run it is about."""
        choice_after = replace(self.choice, policy=self.choice.policy.with_thresholds(**{self.threshold: self.value}))
        before, after = (selections.of(index.table, one) for one in (self.choice, choice_after))

        def among(codes: Codes, subset: str) -> npt.NDArray[np.bool_]:
            if subset not in before.subsets:
                raise UserError(f"the policy {self.choice.policy.name} has no subset {subset[:80]!r}")
            mask: npt.NDArray[np.bool_] = codes == before.subsets.index(subset)
            return mask

        return pl.Series(among(before.codes, self.subsets[0]) & among(after.codes, self.subsets[1]))


@dataclass(frozen=True, slots=True)
class Filters:
    """What is shown, and in which order.

    `spans` are axes with the lowest and the highest whole score; `apart` is the least disagreement of pooled
    judgements; `below` what the probability of the most probable subset must stay under; `moved` marks the samples of
    `move`. `near` are the rows that are like one, nearest first: no others pass, and by position that is their order.
    `sort` is `position`, `disagreement` or `score.AXIS`.
    """

    facets: tuple[tuple[str, str], ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()
    apart: float | None = None
    below: float | None = None
    move: tuple[object, ...] | None = None
    move_rows: pl.Series | None = field(default=None, compare=False, repr=False)
    near: tuple[int, ...] = ()
    text: str = ""
    sort: str = POSITION
    descending: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str], index: SampleIndex, selections: Selections) -> Filters:
        """From a query string: the facets by name, `score.AXIS=6-10`, `apart`, `p` for `below`, `q` for the text,
        `order=desc`; for a move a choice (`selections.choice_of`) with `move=THRESHOLD=VALUE`, `from` and `to`.

        Raises `UserError` for a value that is none.
        """
        move = move_of(query, index)
        return cls(
            facets=tuple((name, query[name]) for name in FACETS if query.get(name)),
            spans=tuple(_spans(query, index)),
            apart=_number(query, "apart"),
            below=_number(query, "p", 1.0),
            move=move.key if move else None,
            move_rows=move.rows(index, selections) if move else None,
            text=query.get("q", "").strip()[:TEXT_LIMIT],
            sort=query.get("sort") or POSITION,
            descending=_is_descending(query),
        )

    def near_to(self, rows: Sequence[int], index: SampleIndex) -> Filters:
        """The same, and of all samples only these rows."""
        mask = np.zeros(len(index.frame), np.bool_)
        mask[np.asarray(rows, np.int64)] = True
        mask &= np.ones_like(mask) if self.move_rows is None else self.move_rows.to_numpy()
        return replace(self, near=tuple(rows), move_rows=pl.Series(mask))

    def condition(self, index: SampleIndex, *without: str) -> pl.Expr:
        """Whether a row of the index passes all but the filters named `without`; the text is no part of it."""
        parts = [_has(index, name, value) for name, value in self.facets if name not in without]
        if SPANS not in without:
            parts += [pl.col(level_column(axis)).is_between(low, high) for axis, low, high in self.spans]
        if self.apart is not None:
            parts.append(pl.col(DISAGREEMENT) >= self.apart if DISAGREEMENT in index.frame.columns else pl.lit(False))
        if self.below is not None:
            parts.append(pl.col(CERTAINTY) < self.below if CERTAINTY in index.frame.columns else pl.lit(False))
        if self.move_rows is not None:
            parts.append(pl.lit(self.move_rows))
        return pl.all_horizontal(pl.col("state").is_not_null(), *parts).fill_null(False)


def move_of(query: Mapping[str, str], index: SampleIndex) -> Move | None:
    """The move in a query, if there is one. Raises `UserError` for one that means nothing."""
    if not (move := query.get("move")):
        return None
    name, _, value = move.partition("=")
    choice = choice_of(index.table, query)
    if name not in choice.policy.thresholds:
        raise UserError(f"move is {move[:40]!r}: it must be a threshold of {choice.policy.name} and a number, beta=6")
    return Move(choice, name, number_of("move", value), (query.get("from", ""), query.get("to", "")))


def _has(index: SampleIndex, name: str, value: str) -> pl.Expr:
    if name in LISTS:
        return pl.col(name).is_not_null() if value == ANY else pl.col(name).list.contains(value)
    names = index.values(name)
    values = [v for v in (FAILURES if name == "state" and value == ANY_FAILURE else (value,)) if v in names]
    return pl.any_horizontal(*(pl.col(name) == v for v in values)) if values else pl.lit(False)


class View:
    """The rows that pass, in order; with a text those that a search has found until now."""

    def __init__(self, index: SampleIndex, filters: Filters, search: Search | None) -> None:
        self._index, self._filters, self.search = index, filters, search
        self._candidates: Rows = _rows(index, filters)
        self._order: tuple[int, Rows] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows_in_order())

    def page(self, offset: int, limit: int) -> list[int]:
        """Row numbers from a place in the view on."""
        rows: list[int] = self._rows_in_order()[offset : offset + limit].tolist()
        return rows

    def place(self, row: int) -> int | None:
        """Where a row is in the view; None where it is not."""
        places = np.flatnonzero(self._rows_in_order() == row)
        return int(places[0]) if len(places) else None

    def _rows_in_order(self) -> Rows:
        with self._lock:
            searched = self.search.searched if self.search else 0
            if self._order is None or self._order[0] != searched:
                rows = self._candidates
                if self.search:
                    rows = rows[self.search.hits.to_numpy()[rows]]
                self._order = (searched, _in_order(self._index, self._filters, rows))
            return self._order[1]


@dataclass
class Views:
    """The views and searches of late; those of a run whose files have changed are dropped as others come."""

    _views: OrderedDict[tuple[object, ...], View] = field(default_factory=OrderedDict)
    _searches: OrderedDict[tuple[object, ...], Search] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, index: SampleIndex, filters: Filters) -> View:
        """The view of a run under filters. Raises `UserError` for an order that it cannot be in."""
        run = (index.workspace.root, index.table.signature)
        with self._lock:
            search = None
            if filters.text:
                search = _latest(self._searches, (*run, filters.text), lambda: Search(index, filters.text))
            return _latest(self._views, (*run, filters), lambda: View(index, filters, search))


def _latest(held: OrderedDict[tuple[object, ...], T], key: tuple[object, ...], make: Callable[[], T]) -> T:
    if key not in held:
        held[key] = make()
        while len(held) > _MOST_VIEWS:
            held.popitem(last=False)
    held.move_to_end(key)
    return held[key]


def counts(index: SampleIndex, filters: Filters, search: Search | None, pair: tuple[str, str]) -> dict[str, Any]:
    """How many samples there are of each kind: `matching` under all filters, and for each filter what any other value
    of it would give: `facets` {name: [[value, count], …]} and `map` [[right, up, count], …], of the axes in `pair` as
    of `SampleIndex.pair`, as positions; without `up` where there is one axis.

    A text counts among the filters, as far as the search for it has come.
    """
    frame = index.frame
    if search:
        hits = search.hits
        frame = frame.filter(hits)
        if filters.move_rows is not None:
            filters = replace(filters, move_rows=filters.move_rows.filter(hits))
    passing = frame.filter(filters.condition(index))

    def but(*names: str) -> pl.DataFrame:
        is_filtered = (SPANS in names and filters.spans) or any(name in names for name, _ in filters.facets)
        return frame.filter(filters.condition(index, *names)) if is_filtered else passing

    facets = {}
    for name in FACETS:
        rows = but(name).select(name).drop_nulls()
        sizes = (rows.explode(name) if name in LISTS else rows).group_by(name).len().drop_nulls()
        largest = sizes.sort(pl.col("len"), pl.col(name).cast(pl.String), descending=[True, False]).head(NAMES_LIMIT)
        every = [[ANY, len(rows)]] if name in LISTS and len(rows) else []
        facets[name] = every + [[value, count] for value, count in largest.iter_rows()]
    cells: list[list[int]] = []
    if axes := index.pair(*pair):
        columns = [level_column(axis.name) for axis in axes if axis]
        rows = but(SPANS).group_by(columns).len().drop_nulls()
        cells = [list(row) for row in rows.sort(columns).iter_rows()]
    return {"matching": len(passing), "facets": facets, "map": cells}


def orders(index: SampleIndex) -> list[str]:
    """What the samples can be sorted by."""
    uncertain = {DISAGREEMENT, CERTAINTY} & set(index.frame.columns)
    return [POSITION, *(score_column(axis.name) for axis in index.axes), *([DISAGREEMENT] if uncertain else [])]


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
        if filters.near:
            rows = np.array([row for row in filters.near if row in set(rows.tolist())], np.uint32)
        return rows[::-1] if filters.descending else rows
    name, descending = filters.sort, filters.descending
    if name == DISAGREEMENT and DISAGREEMENT not in index.frame.columns:
        name, descending = CERTAINTY, not descending  # the more certain, the less disagreement
    keys = index.frame[name].gather(rows)
    order = keys.to_frame().select(pl.arg_sort_by(name, descending=descending, nulls_last=True, maintain_order=True))
    result: Rows = rows[order.to_series().to_numpy()]
    return result


def _spans(query: Mapping[str, str], index: SampleIndex) -> Iterator[tuple[str, int, int]]:
    """The filters on scores as positions on the axes' scales; one on an axis that the run lacks raises."""
    by_column = {score_column(axis.name): axis for axis in index.axes}
    for name, text in query.items():
        if not name.startswith(score_column("")) or not text:
            continue
        if name not in by_column:
            raise UserError(f"{name[:40]} cannot be filtered: it must be one of {', '.join(by_column) or 'none'}")
        axis = by_column[name]
        scale = f"from {axis.low} to {axis.high}, such as {axis.low}-{axis.high}"
        with _explain_value(name, text, f"two whole numbers {scale}"):
            low, _, high = text.partition("-")
            span = int(low), int(high or low)
            if not axis.low <= span[0] <= span[1] <= axis.high:
                raise ValueError
            yield axis.name, span[0] - axis.low, span[1] - axis.low


def _number(query: Mapping[str, str], name: str, most: float = math.inf) -> float | None:
    text = query.get(name)
    if not text:
        return None
    with _explain_value(name, text, "a number" if math.isinf(most) else f"a number from 0 to {most:g}"):
        number = float(text)
        if not (math.isfinite(number) and 0 <= number <= most):
            raise ValueError
        return number


def _is_descending(query: Mapping[str, str]) -> bool:
    order = query.get("order") or "asc"
    with _explain_value("order", order, "asc or desc"):
        return bool(("asc", "desc").index(order))


@contextmanager
def _explain_value(name: str, text: str, what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{name} is {text[:40]!r}: it must be {what}") from error
