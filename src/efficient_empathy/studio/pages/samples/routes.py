"""The page of samples: a list of any length under filters, and each sample with all that was said of it.

The address holds what is shown: `/samples?run=NAME` and any of `subset`, `category`, `state` (a state, `unjudged`, or
`failed` for every kind of failure), `split`, `answered_by`, `s` and `r` (whole scores, `6-10`), `cells` (pairs of
them, sensibility first, `7-3,8-3`), `apart` (the least
disagreement of pooled judgements), `p` (the most probable subset less probable than that), `q` (a text), `sort`
(`position`, an axis, `disagreement`), `order=desc`, `sample` (the id of the one that is open).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import polars as pl
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures.palette import look
from efficient_empathy.selection.columns import ANSWERED_BY
from efficient_empathy.studio.pages.samples.index import FACETS, Indexes, SampleIndex, readable
from efficient_empathy.studio.pages.samples.rounds import reply, rounds
from efficient_empathy.studio.pages.samples.texts import Texts
from efficient_empathy.studio.pages.samples.views import Filters, Views, counts, orders
from efficient_empathy.studio.server.context import Studio

PAGE_LIMIT = 100
"""Rows that are sent at once."""
SEARCH_SECONDS = 0.25
"""How long one request searches; the browser asks again until the search has ended, or no more when it is left."""
Answer = dict[str, Any]


def routes(studio: Studio) -> list[BaseRoute]:
    """The page and its data."""
    data = SampleData()
    asked = {"view": data.view, "rows": data.rows, "find": data.find, "one": data.one, "turns": data.turns}
    return [
        Route("/samples", partial(_page, studio)),
        *(Route(f"/api/samples/{name}", partial(_answer, studio, data, work)) for name, work in asked.items()),
        Route("/api/samples/text", partial(_answer, studio, data, data.text)),
    ]


class SampleData:
    """What the page asks for. Every answer is of files that did not change while it was made, and has their `version`.

    All raise `UserError` for a query that means nothing, and where the run has no samples.
    """

    def __init__(self) -> None:
        self.indexes = Indexes()
        self._views = Views()

    def view(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """How many samples there are, of each kind, and what they can be filtered and sorted by."""
        return {
            "samples": len(index.frame),
            "scored": index.scored,
            "selected": index.selected,
            "mapped": index.mapped,
            "pooled": "disagreement" in index.frame.columns,
            "certain": "certainty" in index.frame.columns,
            "orders": orders(index),
            "offered": [name for name in FACETS if len(index.values(name)) > 1],
            "notes": list(index.notes),
            **counts(index, Filters.of(query)),
        }

    def rows(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """`limit` rows of the list from `offset` on, and how far the search is."""
        view = self._views.of(index, Filters.of(query))
        numbers = view.page(_whole(query, "offset", 0), min(PAGE_LIMIT, _whole(query, "limit", PAGE_LIMIT)))
        texts = Texts(index.workspace).previews(numbers)
        known = index.frame[numbers].to_dicts()
        rows = [
            {"row": n, **_short(row, index), **texts[n]} for n, row in zip(numbers, known, strict=True) if n in texts
        ]
        return {"rows": rows, "search": view.progress()}

    def find(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """Search for a while; how far it is."""
        view = self._views.of(index, Filters.of(query))
        view.search(SEARCH_SECONDS)
        return {"search": view.progress()}

    def one(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """One sample, by `row` or by its id as `sample`, with its judgements, and its `place` under the filters."""
        row = _row(index, query)
        sample = Texts(index.workspace).sample(row)
        short = _short(index.frame.row(row, named=True), index)
        return {
            **sample,
            **short,
            "row": row,
            "axes": _axes(index),
            "place": self._views.of(index, Filters.of(query)).place(row),
            **_scored(index, row),
            **_assigned(index, row),
            "rounds": rounds(index.workspace, sample["sample_id"]),
        }

    def turns(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """Earlier turns of a dialogue: those before the one at `end`."""
        return Texts(index.workspace).turns(_row(index, query), _whole(query, "end", 0))

    def text(self, index: SampleIndex, query: Mapping[str, str]) -> Answer:
        """A text as a whole: `part` is `response`, `turn-2` or `reply-7` (of a judgement)."""
        row, texts = _row(index, query), Texts(index.workspace)
        part, _, number = query.get("part", "").partition("-")
        if part == "response":
            return {"text": texts.whole(row, None)}
        if part == "turn" and number.isdecimal():
            return {"text": texts.whole(row, int(number))}
        if part == "reply" and number.isdecimal():
            return {"text": reply(index.workspace, texts.sample(row)["sample_id"], int(number))}
        raise UserError("part must be response, turn-N or reply-N")


def _page(studio: Studio, request: Request) -> Response:
    return studio.render(request, "samples.html.j2", run=studio.run_name(request), look=look)


def _answer(
    studio: Studio, data: SampleData, work: Callable[[SampleIndex, Mapping[str, str]], Answer], request: Request
) -> Response:
    workspace = studio.run(request)
    return JSONResponse(
        data.indexes.steady(workspace, lambda index: {"version": index.version, **work(index, request.query_params)})
    )


def _row(index: SampleIndex, query: Mapping[str, str]) -> int:
    identity = query.get("sample")
    row = Texts(index.workspace).row_of(identity) if identity else _whole(query, "row", 0)
    if row is None or row >= len(index.frame):
        raise HTTPException(404, "The run has no such sample: it may have been scored anew from other data.")
    return row


def _axes(index: SampleIndex) -> list[tuple[str, float, float]]:
    """Each axis with its lowest and its highest score."""
    return [(axis, *index.scales[axis]) for axis in index.axes]


def _short(row: Mapping[str, Any], index: SampleIndex) -> Answer:
    """A row of the index for the browser."""
    names = ("subset", "category", "state", "split", ANSWERED_BY, "disagreement", "certainty")
    told = {name: row[name] for name in names if row.get(name) is not None}
    return {**told, "scores": {axis: row[axis] for axis in index.axes}}


def _scored(index: SampleIndex, row: int) -> Answer:
    """Spreads, distributions and the number of judgements behind one row's scores."""
    if not index.scored:
        return {}
    with readable(index.workspace.scores):
        found = pl.scan_parquet(index.workspace.scores, glob=False).slice(row, 1).collect().row(0, named=True)
    spreads = {axis: found.get(f"{axis}_std") for axis in index.axes}
    tables = {axis: found.get(f"{axis}_probabilities") for axis in index.axes}
    return {
        "spreads": {axis: spread for axis, spread in spreads.items() if spread is not None},
        "probabilities": {axis: list(table) for axis, table in tables.items() if table is not None},
        "judgements": found.get("judgements"),
    }


def _assigned(index: SampleIndex, row: int) -> Answer:
    """Why one row is in its subset, and the probability of each."""
    if not index.selected:
        return {"reason": "", "odds": {}}
    with readable(index.workspace.assignments):
        found = pl.scan_parquet(index.workspace.assignments, glob=False).slice(row, 1).collect().row(0, named=True)
    odds = {name[2:]: p for name, p in found.items() if name.startswith("p_") and p is not None}
    return {"reason": found.get("reason") or "", "odds": odds}


def _whole(query: Mapping[str, str], name: str, otherwise: int) -> int:
    told = query.get(name)
    if not told:
        return otherwise
    if not (told.isascii() and told.isdecimal() and len(told) < 12):
        raise UserError(f"{name} is {told[:40]!r}: it must be a whole number")
    return int(told)
