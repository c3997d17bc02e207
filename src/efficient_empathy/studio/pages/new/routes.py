"""New run: look at a source, say who judges, see price and time, start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.dialogues import format_names, open_source
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import load
from efficient_empathy.scoring.judges.contract import CheckedJudge
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.plan import plan
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.studio.pages.new.looking import Counting, first_look
from efficient_empathy.studio.pages.new.uploads import PIECE_BYTES, Upload, Uploads
from efficient_empathy.studio.pages.prompts.rubrics import adopted, references
from efficient_empathy.studio.server.bodies import Body, read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.jobs import command_line, flags
from efficient_empathy.studio.server.judging import Judging, own_judges

TRIED = 48
"""Samples that the embedded judge is timed on."""
SECONDS_A_REQUEST = 1.5
"""What an answer of an endpoint is taken to need, where nobody knows."""
_SOURCE = Annotated[str, Field(min_length=1, max_length=4000)]


class Reading(Body):
    """How the source is read, of `ReadingSettings` what the form has."""

    format: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    roles: dict[str, str] = Field(default_factory=dict)
    group_by: str = ""
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""

    def settings(self, **more: Any) -> ReadingSettings:
        """The settings. Raises `UserError` for a value that is none."""
        values = {name: value for name, value in self.model_dump().items() if value}
        return load(InspectionSettings, None, "how the source is read", flags={
            key: (key, value) for key, value in {**values, **more}.items()
        })  # fmt: skip

    def words(self) -> list[str]:
        """The same as flags of a command."""
        pairs = {flag: [f"{key}={value}" for key, value in each.items()]
                 for flag, each in (("--column", self.columns), ("--role", self.roles))}  # fmt: skip
        plain = ("format", "group_by", "encoding", "delimiter", "sheet")
        return flags({**pairs, **{f"--{name.replace('_', '-')}": getattr(self, name) for name in plain}})


class Look(Body):
    """A source, and how to read it."""

    source: _SOURCE
    reading: Reading = Field(default_factory=Reading)


class RunJudging(Judging):
    """Who judges, and by which rubric."""

    rubric: Annotated[str, Field(max_length=100)] = "empathy"

    def rubric_of(self, runs_folder: Path) -> str:
        """What `score --rubric` takes for the rubric's name. Raises `UserError` for a name that there is not."""
        known = references(runs_folder)
        if self.rubric not in known:
            raise UserError(f"there is no rubric {self.rubric!r} here: choose one of {', '.join(known)}")
        return known[self.rubric]

    def score_words(self, runs_folder: Path) -> list[str]:
        """The same as flags of `score`."""
        rubric = None if self.rubric == "empathy" else self.rubric_of(runs_folder)
        named = {"--judge": None if self.judge == "distilled" else self.judge, "--rubric": rubric}
        return [*flags(named), *self.words(runs_folder)]


class Plan(Look):
    """A source and who judges it."""

    judging: RunJudging = Field(default_factory=RunJudging)


class Start(Plan):
    """What makes a run."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    skip_bad_rows: bool = False


def routes(studio: Studio) -> list[BaseRoute]:
    """`/new`, and by POST below `/api/new/`: `upload`, `piece`, `uploaded`, `look`, `count`, `price`, `start`."""
    uploads, counting = Uploads(studio.runs.folder), Counting()

    def page(request: Request) -> Response:
        return studio.render(
            request,
            "new.html.j2",
            run=None,
            rubrics=list(references(studio.runs.folder)),
            adopted=adopted(studio.runs.folder),
            formats=format_names(),
            own_judges=list(own_judges(studio.runs.folder)),
            piece=PIECE_BYTES,
        )

    def answers(work: Callable[[Request, bytes], Mapping[str, Any]]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            return JSONResponse(await run_in_threadpool(work, request, await request.body()))

        return respond

    def post(name: str, work: Callable[[Request, bytes], Mapping[str, Any]]) -> Route:
        return Route(f"/api/new/{name}", answers(work), methods=["POST"])

    return [
        Route("/new", page),
        post("upload", lambda _, body: {"id": uploads.begin(read_body(Upload, body))}),
        post("piece", partial(_piece, uploads)),
        post("uploaded", partial(_uploaded, uploads)),
        post("look", lambda _, body: _look(read_body(Look, body))),
        post("count", lambda _, body: _count(counting, read_body(Look, body))),
        post("price", lambda _, body: _price(studio, read_body(Plan, body))),
        post("start", lambda _, body: _start(studio, read_body(Start, body))),
    ]


def _piece(uploads: Uploads, request: Request, content: bytes) -> dict[str, int]:
    offset = request.query_params.get("offset", "")
    if not (offset.isascii() and offset.isdigit() and len(offset) < 15):
        raise UserError("a piece must say where it begins")
    return {"bytes": uploads.add(request.query_params.get("id", ""), int(offset), content)}


def _uploaded(uploads: Uploads, request: Request, content: bytes) -> dict[str, str]:
    path = uploads.finish(request.query_params.get("id", ""), read_body(Upload, content))
    return {"source": str(path)}


def _look(look: Look) -> dict[str, Any]:
    return first_look(look.source, look.reading.settings(on_bad_row="skip"))


def _count(counting: Counting, look: Look) -> dict[str, Any]:
    count = counting.of(look.model_dump_json(), look.source, look.reading.settings(on_bad_row="skip"))
    return {"samples": count.samples, "inspection": count.record, "problem": count.problem}


def _price(studio: Studio, body: Plan) -> dict[str, Any]:
    """What `score --dry-run` says, and how long it takes."""
    rubric, options = Rubric.load(body.judging.rubric_of(studio.runs.folder)), body.judging.options(studio.runs.folder)
    reading = body.reading.settings(on_bad_row="skip")
    with TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        planned = plan(body.source, workspace, [body.judging.judge], rubric, options, reading)
        judge = build_judge("distilled", rubric, workspace, options) if body.judging.judge == "distilled" else None
        seconds, basis = _seconds(body, judge, reading, planned.to_judge, planned.requests)
    return {"plan": planned.model_dump(mode="json"), "seconds": seconds, "basis": basis}


def _seconds(
    body: Plan, judge: CheckedJudge | None, reading: ReadingSettings, samples: int, requests: int
) -> tuple[float, str]:
    """How long it takes, and what that is reckoned from; `judge` is one that works here."""
    if judge is None:
        window = body.judging.concurrency or 64
        seconds = requests / window * SECONDS_A_REQUEST
        return seconds, f"if an answer takes {SECONDS_A_REQUEST:g} s, and {window} are asked for at once"
    import asyncio

    some = list(islice(open_source(body.source, reading), TRIED))
    asyncio.run(judge.judge(some[:1]))
    began = time.perf_counter()
    asyncio.run(judge.judge(some))
    each = (time.perf_counter() - began) / max(1, len(some))
    return each * samples, f"as fast as the first {len(some)} here"


def _start(studio: Studio, body: Start) -> dict[str, str]:
    judging = body.judging
    source = body.source if "://" in body.source or not Path(body.source).exists() else str(Path(body.source).resolve())
    words = judging.score_words(studio.runs.folder)
    if judging.own:  # a judge that cannot be had is told before there is a run
        with TemporaryDirectory() as folder:
            rubric, options = Rubric.load(judging.rubric_of(studio.runs.folder)), judging.options(studio.runs.folder)
            build_judge(judging.judge, rubric, Workspace(folder), options)
    workspace = studio.runs.make(body.name)
    judging.hand_over_key(studio.jobs, workspace.root)
    command = [
        "score", f"--run={workspace.root}", *words, *body.reading.words(),
        *flags({"--on-bad-row": "skip" if body.skip_bad_rows else None}), "--", source,
    ]  # fmt: skip
    studio.jobs.start(workspace.root, command)
    return {"run": studio.runs.name_of(workspace.root) or body.name, "command": command_line(command)}
