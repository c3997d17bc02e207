"""What is done with all samples that pass the filters: kept by name, downloaded, made a golden set of."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import polars as pl
from filelock import FileLock
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.dialogues import uniform
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.run.corrected import NOTE, TAGS
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.record import Record
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.spreadsheets import texts_only
from efficient_empathy.prompts.golden.making import make_golden
from efficient_empathy.prompts.settings import GoldenSettings
from efficient_empathy.selection.exports import ABOUT, messages, prompt_and_completion
from efficient_empathy.studio.pages.samples.corrections import ids_of, post, shown_ids
from efficient_empathy.studio.server.address import strangers
from efficient_empathy.studio.server.bodies import Body, FolderName
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.downloads import written_file
from efficient_empathy.studio.server.jobs import shown_path

if TYPE_CHECKING:
    from efficient_empathy.studio.pages.samples.index import SampleIndex
    from efficient_empathy.studio.pages.samples.routes import SampleData

FILE, GOLDEN = "filters.json", "golden"
MOST = 100
"""Filters that are kept."""
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,60}")
_NOT_A_FILTER = ("run", "sample", "right", "up")


class SavedFilters(Record):
    """Filters of the page of samples, by the names that people gave them."""

    PLACE: ClassVar[str] = FILE
    REMEDY: ClassVar[str] = "the studio, and save the filters again"

    filters: dict[str, str] = Field(default_factory=dict)
    """By name the query of the page's address."""


class FilterBody(Body):
    """Keep a filter by a name, or drop the one of that name."""

    name: str = Field(max_length=200)
    query: str | None = Field(default=None, max_length=4_000)
    """The page's query; None to drop it."""


class GoldenBody(Body):
    """Make a golden set of all samples that pass the filters of the request."""

    name: FolderName
    """The folder's, in `golden/` of the run."""
    expected: int
    """How many samples they were told it is about."""


def saved_filters(workspace: Workspace) -> list[list[str]]:
    """Name and query of each, by name; none where the file cannot be read."""
    try:
        record = SavedFilters.read_if_there(workspace.root / FILE) or SavedFilters()
    except UserError:
        return []
    return [[name, query] for name, query in sorted(record.filters.items(), key=lambda one: one[0].casefold())]


def filtered_ids(data: SampleData, workspace: Workspace, name: str) -> list[str]:
    """The ids of all samples that pass the filter of this name. Raises `UserError` where none was saved by it."""
    query = dict(saved_filters(workspace)).get(name)
    if query is None:
        raise UserError(f"there is no filter {name!r}: save one on the page Samples")

    from efficient_empathy.studio.pages.samples.routes import KNOWN

    asked = dict(parse_qsl(query))
    if unknown := strangers(asked, KNOWN):
        raise UserError(f"the filter {name} cannot be used: it {unknown[0].removeprefix('The address ').rstrip('.')}")
    ids = data.steady(workspace, lambda index: ids_of(index, data.rows_shown(index, asked)))
    if not ids:
        raise UserError(f"no sample passes the filter {name} any more: choose another")
    return ids


def filter_routes(studio: Studio, data: SampleData) -> list[BaseRoute]:
    """By POST `/api/samples/filters` and `golden`; `/samples/export?as=csv` or `jsonl`, what passes as a file."""
    golden = partial(_golden, studio, data)
    return [
        Route("/api/samples/filters", partial(post, partial(_save, studio), FilterBody), methods=["POST"]),
        Route("/api/samples/golden", partial(post, golden, GoldenBody), methods=["POST"]),
        Route("/samples/export", partial(_export, studio, data)),
    ]


def _save(studio: Studio, request: Request, body: FilterBody) -> dict[str, Any]:
    workspace, name = studio.run(request), " ".join(body.name.split())
    if not _NAME.fullmatch(name):
        raise UserError("a filter's name has 1 to 60 characters")
    path = workspace.root / FILE
    with FileLock(workspace.root / ".filters.lock", is_singleton=True, timeout=10):
        filters = dict((SavedFilters.read_if_there(path) or SavedFilters()).filters)
        if body.query is None:
            filters.pop(name, None)
        else:
            filters[name] = urlencode([(k, v) for k, v in parse_qsl(body.query) if k not in _NOT_A_FILTER and v])
        if len(filters) > MOST:
            raise UserError(f"{MOST} filters are kept at most: drop one first")
        SavedFilters(filters=filters).write(path)
    return {"saved": saved_filters(workspace)}


def _golden(studio: Studio, data: SampleData, request: Request, body: GoldenBody) -> dict[str, Any]:
    workspace = studio.run(request)
    ids = data.steady(workspace, lambda index: shown_ids(data, index, request, body.expected))
    folder = workspace.root / GOLDEN / body.name
    result = make_golden(workspace, folder, GoldenSettings(n=len(ids), name=body.name), ids=ids)
    command = f"efficient-empathy prompts test {shell(shown_path(folder))} --judge openai:MODEL@URL"
    return {
        "items": len(result.golden.items),
        "people": result.people,
        "folder": shown_path(folder),
        "command": command,
        "key": f"{studio.run_name(request)}/{body.name}",
    }


def _export(studio: Studio, data: SampleData, request: Request) -> Response:
    ending = request.query_params.get("as", "")
    if ending not in ("csv", "jsonl"):
        raise UserError("as must be csv or jsonl")
    workspace, name = studio.run(request), studio.run_name(request).replace("/", "-")
    kind = "text/csv; charset=utf-8" if ending == "csv" else "application/jsonl"

    def write(target: Path) -> None:
        data.steady(workspace, lambda index: export(index, data.rows_shown(index, request.query_params), target))

    return written_file(write, f"{name}-samples.{ending}", kind)


def export(index: SampleIndex, rows: list[int], target: Path) -> None:
    """Write samples, in the order of `rows`, as the file's name says.

    JSON lines have what a subset of `select` has (`prompt`, `completion`, `messages`) with subset, reason, tags and
    note; CSV the texts in two columns, as `corrections import` reads it again.
    """
    table = index.table
    wanted = pl.DataFrame({"row": pl.Series(rows, dtype=pl.UInt32)}).with_row_index("place")
    own = [name for name in (TAGS, NOTE) if name in table.columns]
    reasons = ["reason"] if "reason" in table.columns else []
    state = ["state"] if "state" in table.columns else []
    columns = ["row", *ABOUT, "turn", "source", *state, *table.axis_names, *reasons, *own, "context", "response"]
    with readable(table.workspace.root):
        frame = table.scan(columns).filter(pl.col("row").is_in(rows)).collect(engine="streaming")
    known = [pl.Series("subset", index.frame["subset"].cast(pl.String))] if index.subsets else []
    if index.renewed is not None:
        known.append(index.renewed["reason"])
    if known:
        frame = frame.with_columns(one.gather(frame["row"]) for one in known)
    frame = wanted.join(frame, on="row", maintain_order="left").sort("place").drop("row", "place")
    labels = [name for name in ("subset", "reason", *own) if name in frame.columns]
    if target.suffix == ".csv":
        texts = [_context(), pl.col("response")]
        tags = [pl.col(TAGS).list.join(", ")] if TAGS in own else []
        names = [*ABOUT, "turn", "source", *state, *table.axis_names, *labels]
        texts_only(frame.with_columns(tags).select(*names, *texts)).write_csv(target)
        return
    rows_of = frame.select(*prompt_and_completion(), messages(), *ABOUT, *table.axis_names, *labels)
    uniform(rows_of.lazy()).sink_ndjson(target, check_extension=False)


def _context() -> pl.Expr:
    """The turns before the response as one text, a line each."""
    turn = pl.element().struct
    said = pl.concat_str(turn.field("role"), pl.lit(": "), turn.field("text"))
    return pl.col("context").list.eval(said).list.join("\n").alias("context")
