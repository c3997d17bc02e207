"""The page Steps: downloads, the next steps as jobs, and what they print."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.live.standing import standing
from efficient_empathy.studio.pages.steps.downloads import other_files, require_download, subset_files, write_zip
from efficient_empathy.studio.pages.steps.views import view_of
from efficient_empathy.studio.server.bodies import read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.downloads import written_file
from efficient_empathy.studio.server.job_routes import job_routes
from efficient_empathy.studio.server.jobs import command_line, shown_path
from efficient_empathy.studio.server.steps import StepBody, can_train

ALL = "selection"
"""In place of a file: the whole selection as a zip."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/steps`, `/download`, and below `/api/steps/`: `jobs`, `output`, and by POST `command`, `start`, `stop`."""

    def page(request: Request) -> Response:
        workspace = studio.run(request)
        fault, view, not_yet = "", None, None
        try:
            table = studio.tables.of(workspace)
            view, not_yet = view_of(table), standing(table, "scores", "selection")
            subsets, others = subset_files(workspace), other_files(workspace)
        except UserError as error:
            fault, subsets, others = f"{error}", [], []
        return studio.render(
            request, "steps.html.j2", view=view, fault=fault, standing=not_yet,
            subsets=subsets, others=others, can_train=can_train(),
        )  # fmt: skip

    async def command(request: Request) -> Response:
        body = read_body(StepBody, await request.body())
        return JSONResponse(await run_in_threadpool(_command, studio, studio.run(request), body))

    async def start(request: Request) -> Response:
        body = read_body(StepBody, await request.body())
        return JSONResponse(await run_in_threadpool(_start, studio, studio.run(request), body))

    def download(request: Request) -> Response:
        return _download(studio.run(request), studio.run_name(request), request.query_params.get("file", ""))

    return [
        Route("/steps", page),
        Route("/download", download),
        Route("/api/steps/command", command, methods=["POST"]),
        Route("/api/steps/start", start, methods=["POST"]),
        *job_routes(studio.jobs, "/api/steps", lambda request: studio.run(request).root),
    ]


def _words(studio: Studio, workspace: Workspace, body: StepBody) -> list[str]:
    table: RunTable = studio.tables.of(workspace)
    return body.command(table, shown_path(workspace.root), studio.data_folder / "policies" / workspace.root.name)


def _command(studio: Studio, workspace: Workspace, body: StepBody) -> dict[str, str]:
    """The command, and what is known already to stand in its way."""
    refusal = body.refusal(studio.tables.of(workspace))
    return {"command": command_line(_words(studio, workspace, body)), "refusal": refusal}


def _start(studio: Studio, workspace: Workspace, body: StepBody) -> dict[str, Any]:
    if refusal := body.refusal(studio.tables.of(workspace)):
        raise UserError(refusal)
    return studio.jobs.start(workspace.root, _words(studio, workspace, body)).model_dump(mode="json")


def _download(workspace: Workspace, name: str, path: str) -> Response:
    if path != ALL:
        file = require_download(workspace, path)
        return FileResponse(file, filename=f"{name.replace('/', '-')}-{file.name}")
    files = subset_files(workspace)
    if not files:
        raise UserError("this run has no selection to download: apply one on the page Thresholds")
    folder = name.replace("/", "-")
    return written_file(
        lambda target: write_zip(workspace, files, target, folder), f"{folder}-selection.zip", "application/zip"
    )
