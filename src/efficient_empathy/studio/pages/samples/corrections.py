"""What people say of the samples: shown beside each, set and taken back, for one or for all that are shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.labelling.corrections.settings import CorrectionSettings, SpeakerSettings, account
from efficient_empathy.labelling.corrections.store import correct, subset_names, withdraw
from efficient_empathy.labelling.corrections.words import what
from efficient_empathy.selection.policies.conditions import number_text
from efficient_empathy.studio.server.bodies import Body, read_body
from efficient_empathy.studio.server.context import Studio

if TYPE_CHECKING:
    from efficient_empathy.studio.pages.samples.index import SampleIndex
    from efficient_empathy.studio.pages.samples.routes import SampleData

LINES = 100
"""Corrections of one sample that are shown; the last ones."""
Answer = dict[str, Any]


class CorrectionBody(Body):
    """What somebody says of one sample, or of all that pass the filters of the request."""

    said: CorrectionSettings
    sample: str = Field(default="", max_length=80)
    """The one; empty for all."""
    seen: int = 0
    """The last correction of the sample that they had before their eyes."""
    expected: int | None = None
    """How many samples they were told it is about."""


class WithdrawalBody(Body):
    """Somebody takes a correction of a sample back."""

    speaker: SpeakerSettings = SpeakerSettings()
    sample: str = Field(max_length=80)
    number: int


def people(table: RunTable) -> Answer:
    """What can be said of the run's samples, and what is said of them by now."""
    tags = dict.fromkeys(tag for it in table.said.standing.values() for tag in it.tags)
    subsets: list[str] = []
    if table.scores.current:
        subsets = subset_names(table)
    return {"subsets": subsets, "tags": sorted(tags), "by": account(), "outdated": table.outdated}


def said_of(table: RunTable, sample: str) -> Answer:
    """What people say of a sample: `tags`, `note`, and every correction with whether it stands, oldest first."""
    it = table.said.standing.get(sample)
    history = table.said.of(sample)[-LINES:]
    return {
        "tags": list(it.tags) if it else [],
        "note": str(it.note.value) if it and it.note else "",
        "scores": {axis: one.value for axis, one in it.scores.items()} if it else {},
        "subset": str(it.subset.value) if it and it.subset else "",
        "history": [_entry(table, sample, number) for number in (one.number for one in history)],
    }


def _entry(table: RunTable, sample: str, number: int) -> Answer:
    one = table.said.history[number - 1]
    before = one.samples[sample]
    gone = sample in table.said.withdrawn.get(number, ())
    state = "back" if one.withdraws is not None else "withdrawn" if gone else ""
    left = table.said.left_of(one, sample)
    removes = bool(one.untags or one.note == "")
    return {
        "number": number,
        "at": one.at,
        "by": one.by,
        "reason": one.reason,
        "what": what(one),
        "samples": len(one.samples),
        "before": _before(before.scores, before.subset),
        "state": state or ("stands" if left or removes else "overruled"),
    }


def _before(scores: dict[str, float | None], subset: str | None) -> str:
    parts = [f"{axis} {'none' if score is None else number_text(round(score, 2))}" for axis, score in scores.items()]
    return ", ".join([*parts, *([f"subset {subset}"] if subset else [])])


def correction_routes(studio: Studio, data: SampleData) -> list[BaseRoute]:
    """By POST `/api/samples/correct` and `/api/samples/withdraw`."""
    set_, take_back = partial(_correct, studio, data), partial(_withdraw, studio)
    return [
        Route("/api/samples/correct", partial(post, set_, CorrectionBody), methods=["POST"]),
        Route("/api/samples/withdraw", partial(post, take_back, WithdrawalBody), methods=["POST"]),
    ]


T = TypeVar("T", bound=BaseModel)


async def post(handle: Callable[[Request, T], Answer], model: type[T], request: Request) -> Response:
    """The answer to what a request says."""
    body = read_body(model, await request.body())
    return JSONResponse(await run_in_threadpool(handle, request, body))


def _correct(studio: Studio, data: SampleData, request: Request, body: CorrectionBody) -> Answer:
    workspace = studio.run(request)
    if body.sample:
        ids = [body.sample]
    else:
        ids = data.steady(workspace, lambda index: shown_ids(data, index, request, body.expected))
    one = correct(workspace, ids, body.said)
    table = studio.tables.of(workspace)
    others = [e for e in table.said.of(body.sample) if body.seen < e.number < one.number] if body.sample else []
    meanwhile = [{"by": e.by, "what": what(e)} for e in others]
    return {"number": one.number, "samples": len(one.samples), "meanwhile": meanwhile, "version": table.version}


def shown_ids(data: SampleData, index: SampleIndex, request: Request, expected: int | None) -> list[str]:
    """The ids of all samples that pass the request's filters. Raises 409 where they are not as many as expected."""
    rows = data.rows_shown(index, request.query_params)
    if expected != len(rows):
        raise HTTPException(409, f"By now {len(rows):,} samples pass the filters: look at them again.")
    return ids_of(index, rows)


def ids_of(index: SampleIndex, rows: list[int]) -> list[str]:
    """The ids of rows, each once."""
    with readable(index.workspace.samples):
        ids = index.table.scan(["sample_id"]).collect(engine="streaming")["sample_id"].gather(rows)
    return ids.unique(maintain_order=True).to_list()


def _withdraw(studio: Studio, request: Request, body: WithdrawalBody) -> Answer:
    workspace = studio.run(request)
    if not body.sample:
        raise UserError("no sample is named")
    withdraw(workspace, [body.number], body.speaker, [body.sample])
    return {"version": studio.tables.of(workspace).version}
