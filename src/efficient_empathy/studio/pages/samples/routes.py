"""The page of samples: a list of any length under filters, and each sample with all that was said of it.

The address holds what is shown: `/samples?run=NAME` and any of `subset`, `category`, `state` (a state, `unjudged`, or
`failed` for every kind of failure), `split`, `answered_by`, `score.AXIS` (whole scores, `6-10`), `apart` (the least
disagreement of pooled judgements), `p` (the most probable subset less probable than that), `move` (what changes subset
when a threshold moves, see `views.Filters.of`), `like` (the id of a sample that others are like), `q` (a text), `sort`
(`position`, `score.AXIS`, `disagreement`), `order=desc`, `right` and `up` (the axes of the map), `sample` (the id of
the one that is open).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.formatting import clip
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.run.corrected import LISTS
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import ODDS, PROBABILITIES, STD, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.live.standing import standing
from efficient_empathy.studio.pages.samples.corrections import correction_routes, people, said_of
from efficient_empathy.studio.pages.samples.filters import filter_routes, saved_filters
from efficient_empathy.studio.pages.samples.index import (
    CERTAINTY,
    DISAGREEMENT,
    FACETS,
    Indexes,
    SampleIndex,
    Texts,
    score_column,
)
from efficient_empathy.studio.pages.samples.rounds import reply, rounds
from efficient_empathy.studio.pages.samples.similar import Neighbours, Reading
from efficient_empathy.studio.pages.samples.views import ANY, ANY_FAILURE, Filters, View, Views, counts, move_of, orders
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.look import subset_looks
from efficient_empathy.studio.server.selections import Selections, Tables

T = TypeVar("T")
PAGE_LIMIT = 100
"""Rows that are sent at once."""
POINTS = 3_000
"""Samples that the map of what they say shows."""
SEARCH_SECONDS = 0.25
"""How long one request searches; the browser asks again until the search has ended, or no more when it is left."""
Answer = dict[str, Any]


def routes(studio: Studio) -> list[BaseRoute]:
    """The page and its data."""
    data = SampleData(studio.tables, studio.selections, studio.data_folder / "vectors")
    works = {"view": data.view, "rows": data.rows, "one": data.one, "turns": data.turns}
    works |= {"text": data.text, "space": data.space}
    return [
        Route("/samples", partial(_page, studio, data)),
        *(Route(f"/api/samples/{name}", partial(_answer, studio, data, work)) for name, work in works.items()),
        *correction_routes(studio, data),
        *filter_routes(studio, data),
    ]


class SampleData:
    """What the page asks for. Every answer is of files that did not change while it was made, and has their `version`.

    All raise `UserError` for a query that means nothing, and where the run has no samples.
    """

    def __init__(self, tables: Tables, selections: Selections, folder: Path | None = None) -> None:
        self.tables, self._selections = tables, selections
        self._indexes = Indexes()
        self._views = Views()
        self._neighbours = Neighbours(folder) if folder else None

    def steady(self, workspace: Workspace, work: Callable[[SampleIndex], T]) -> T:
        """What `work` makes of the index of files that did not change meanwhile; see `Tables.steady`."""
        return self.tables.steady(workspace, lambda table: work(self._indexes.of(table)))

    def view(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """How many samples there are, of each kind, and what they can be filtered and sorted by.

        A text is searched for, for a while: asked again, the search goes on, until it has `ended`.
        """
        filters = self._filters(index, query)
        search = self._views.of(index, filters).search
        if search:
            search.go_on(SEARCH_SECONDS)
        pair = (query.get("right", ""), query.get("up", ""))
        axes, move, table = index.pair(*pair), move_of(query, index), index.table
        not_yet = standing(table, "scores", *(() if table.outdated else ("selection",)))
        return {
            "samples": len(index.frame),
            "axes": [_axis(axis) for axis in index.axes],
            "letters": Looks.of(axis.name for axis in index.axes).letters,
            "pair": [axis.name for axis in axes if axis] if axes else [],
            "pooled": DISAGREEMENT in index.frame.columns,
            "certain": CERTAINTY in index.frame.columns,
            "orders": orders(index),
            "offered": [name for name in FACETS if len(index.values(name)) > (name not in LISTS)],
            "looks": subset_looks(table),
            "like": self._like(index, query),
            "people": people(table),
            "saved": saved_filters(index.workspace),
            "move": move.sentence if move else "",
            "standing": asdict(not_yet) if not_yet else None,
            "search": search.progress() if search else None,
            **counts(index, filters, search, pair),
        }

    def rows(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """`limit` rows of the list from `offset` on."""
        view = self._view(index, query)
        numbers = view.page(_whole(query, "offset", 0), min(PAGE_LIMIT, _whole(query, "limit", PAGE_LIMIT)))
        texts = Texts(index.workspace).previews(numbers, query.get("q", "").strip())
        records = index.frame[numbers].to_dicts()
        rows = [
            {"row": n, **_short(row, index), **texts[n]} for n, row in zip(numbers, records, strict=True) if n in texts
        ]
        return {"rows": rows}

    def _filters(self, index: SampleIndex, query: Mapping[str, str]) -> Filters:
        filters, near = Filters.of(query, index, self._selections), self._near(index, query)
        return filters.near_to(near, index) if isinstance(near, list) else filters

    def _near(self, index: SampleIndex, query: Mapping[str, str]) -> list[int] | Reading | None:
        """The rows that are like the sample `like`, or how far the samples have been read for that; None without it."""
        if not query.get("like") or self._neighbours is None:
            return None
        row = Texts(index.workspace).row_of(query["like"])
        if row is None:
            raise UserError(f"there is no sample {query['like'][:40]!r} in this run for others to be like")
        return self._neighbours.of(index.table, row)

    def _like(self, index: SampleIndex, query: Mapping[str, str]) -> Answer | None:
        near = self._near(index, query)
        if near is None:
            return None
        reading = near if isinstance(near, Reading) else Reading(share=1.0)
        return {"ended": isinstance(near, list) or bool(reading.fault), "share": reading.share, "fault": reading.fault}

    def _view(self, index: SampleIndex, query: Mapping[str, str]) -> View:
        return self._views.of(index, self._filters(index, query))

    def one(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """One sample, by `row` or by its id as `sample`, with its judgements, and its `place` under the filters."""
        row = _row(index, query)
        sample = Texts(index.workspace).sample(row)
        short = _short(index.frame.row(row, named=True), index)
        return {
            **sample,
            **short,
            "row": row,
            "axes": [_axis(axis) for axis in index.axes],
            "place": self._view(index, query).place(row),
            **_score_details(index, row),
            **_assignment(index, row),
            "said": said_of(index.table, sample["sample_id"]),
            "rounds": rounds(index.workspace, sample["sample_id"]),
        }

    def space(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """The samples that pass the filters on a map, near where they say like things: `points` [[row, x, y, value]].

        `by` says what the value is: `subset`, `category`, or a score in ten steps, `score.AXIS`. Of many a part is
        shown; until all samples have been read, how far that is.
        """
        assert self._neighbours is not None
        places = self._neighbours.places(index.table)
        if isinstance(places, Reading):
            return {"ended": bool(places.fault), **asdict(places), "points": [], "of": 0}
        rows = sorted(self.rows_shown(index, query))
        drawn = rows[:: max(1, -(-len(rows) // POINTS))]
        values = _drawn_values(index, query.get("by") or "subset")[drawn].to_list()
        points = [[row, x, y, one] for row, (x, y), one in zip(drawn, places[drawn].tolist(), values, strict=True)]
        return {"ended": True, "share": 1.0, "fault": "", "of": len(rows), "points": points}

    def rows_shown(self, index: SampleIndex, query: Mapping[str, str]) -> list[int]:
        """The numbers of all rows that pass the filters; a text is searched for to the end first."""
        view = self._view(index, query)
        while view.search and not view.search.ended:
            view.search.go_on(SEARCH_SECONDS)
        return view.page(0, len(index.frame))

    def turns(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """Earlier turns of a dialogue: those before the one at `end`."""
        return Texts(index.workspace).turns(_row(index, query), _whole(query, "end", 0))

    def text(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """A text as a whole: `part` is `response`, `turn-2` or `reply-7` (of a judgement)."""
        row, texts = _row(index, query), Texts(index.workspace)
        part, _, number = query.get("part", "").partition("-")
        if part == "response":
            return {"text": texts.whole(row, None)}
        if not (number.isascii() and number.isdecimal() and len(number) < 12):
            number = ""
        if part == "turn" and number:
            return {"text": texts.whole(row, int(number))}
        if part == "reply" and number:
            return {"text": reply(index.workspace, texts.sample(row)["sample_id"], int(number))}
        raise UserError("part must be response, turn-N or reply-N")


KNOWN = (
    *FACETS, "score.", "apart", "p", "q", "sort", "order", "right", "up", "sample",
    "move", "policy", "t.", "decide", "from", "to", "like",
)  # fmt: skip
"""What the page's address may have."""


def _page(studio: Studio, data: SampleData, request: Request) -> Response:
    workspace, scores = studio.run(request), list[str]()
    with suppress(UserError, HTTPException):
        scores = [score_column(axis) for axis in studio.tables.of(workspace).axis_names]
    query = Address(request.query_params, [*KNOWN, *scores])
    asked = any(query.text(name) for name in (*FACETS, "right", "up", "sample"))
    with suppress(UserError, HTTPException):
        query.notes += (
            []
            if not asked
            else data.steady(workspace, lambda index: _missing(index, Address(request.query_params, KNOWN)))
        )
    return studio.render(request, "samples.html.j2", run=studio.run_name(request), query=query)


def _missing(index: SampleIndex, query: Address) -> list[str]:
    """A sentence on each value in the page's address that no sample has; what has no meaning its requests refuse."""
    notes = len(query.notes)
    for name in FACETS:
        every = (ANY,) if name in LISTS else (ANY_FAILURE,) if name == "state" else ()
        query.one_of(name, (*index.values(name), *every))
    for name in ("right", "up"):
        query.one_of(name, [axis.name for axis in index.axes] or [query.text(name)])
    sample = query.text("sample")
    if sample and Texts(index.workspace).row_of(sample) is None:
        query.notes.append(
            f"There is no sample {clip(sample, 40)} in this run: it may have been scored anew from other data."
        )
    return query.notes[notes:]


def _answer(
    studio: Studio, data: SampleData, work: Callable[[SampleIndex, Mapping[str, str]], Answer], request: Request
) -> Response:
    def answer(index: SampleIndex) -> Answer:
        return {"version": index.table.version, **work(index, request.query_params)}

    return JSONResponse(data.steady(studio.run(request), answer))


def _row(index: SampleIndex, query: Mapping[str, str]) -> int:
    identity = query.get("sample")
    row = Texts(index.workspace).row_of(identity) if identity else _whole(query, "row", 0)
    if row is None or row >= len(index.frame):
        raise HTTPException(404, "The run has no such sample: it may have been scored anew from other data.")
    return row


def _drawn_values(index: SampleIndex, by: str) -> pl.Series:
    """What the points of the map are coloured by. Raises `UserError` for what there is not."""
    if by in ("subset", "category"):
        return index.frame[by].cast(pl.String)
    axis = next((axis for axis in index.axes if score_column(axis.name) == by), None)
    if axis is None:
        raise UserError(f"the map cannot be coloured by {by[:40]!r}")
    return ((index.frame[by] - axis.low) * (10 / (axis.high - axis.low))).round().cast(pl.Int32)


def _axis(axis: Axis) -> tuple[str, int, int]:
    return (axis.name, axis.low, axis.high)


def _short(row: Mapping[str, Any], index: SampleIndex) -> Answer:
    """A row of the index for the browser."""
    values = {name: row[name] for name in (*FACETS, DISAGREEMENT, CERTAINTY) if row.get(name) is not None}
    return {**values, "scores": {axis.name: row[score_column(axis.name)] for axis in index.axes}}


def _score_details(index: SampleIndex, row: int) -> Answer:
    """Spreads, distributions and the number of judgements behind one row's scores."""
    table = index.table
    names = [f"{axis}{end}" for axis in table.axis_names for end in (STD, PROBABILITIES)]
    columns = [name for name in (*names, "judgements") if name in table.columns]
    values = _one(table, row, columns)
    spreads = {axis: values.get(f"{axis}{STD}") for axis in table.axis_names}
    tables = {axis: values.get(f"{axis}{PROBABILITIES}") for axis in table.axis_names}
    return {
        "spreads": {axis: spread for axis, spread in spreads.items() if spread is not None},
        "probabilities": {axis: list(one) for axis, one in tables.items() if one is not None},
        "judgements": values.get("judgements"),
    }


def _assignment(index: SampleIndex, row: int) -> Answer:
    """Why one row is in its subset, and the probability of each."""
    table = index.table
    if index.renewed is not None:
        values = index.renewed.row(row, named=True)
    else:
        odds = [name for name in table.columns if name.startswith(ODDS) and name.removeprefix(ODDS) in table.subsets]
        values = _one(table, row, [*odds, *(["reason"] if "reason" in table.columns else [])])
    odds_by_subset = {
        name.removeprefix(ODDS): p for name, p in values.items() if name.startswith(ODDS) and p is not None
    }
    return {"reason": values.get("reason") or "", "odds": odds_by_subset}


def _one(table: RunTable, row: int, columns: list[str]) -> dict[str, Any]:
    """Some columns of one row."""
    if not columns:
        return {}
    with readable(table.workspace.root):
        return table.scan(columns).slice(row, 1).collect().row(0, named=True)


def _whole(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name)
    if not text:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise UserError(f"{name} is {text[:40]!r}: it must be a whole number")
    return int(text)
