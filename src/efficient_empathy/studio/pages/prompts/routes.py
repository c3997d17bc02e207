"""The page Prompts: every rubric with its text, where it was used, and a copy to edit."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.studio.pages.lab.routes import shown_path
from efficient_empathy.studio.pages.prompts.rubrics import own_folder, rubrics_of_studio, save
from efficient_empathy.studio.server.bodies import Body, read_body
from efficient_empathy.studio.server.context import Studio


class RubricBody(Body):
    """A rubric as it was edited."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    text: Annotated[str, Field(min_length=1, max_length=200_000)]


def routes(studio: Studio) -> list[BaseRoute]:
    """`/prompts`, and by POST `/api/prompts/save`."""

    def page(request: Request) -> Response:
        studio.runs.look()
        runs = [(name, studio.runs.workspace(name)) for name in studio.runs]
        rubrics = rubrics_of_studio(studio.runs.folder, runs)

        def difference(digest: str) -> str:
            """The address of the word diff from the first rubric to another."""
            query = [("what", "rubrics"), ("rubric", rubrics[0].rubric.hash), ("rubric", digest)]
            return "/compare?" + urlencode([*query, *([("run", runs[0][0])] if runs else [])])

        return studio.render(
            request, "prompts.html.j2", rubrics=rubrics, difference=difference if runs else None,
            folder=shown_path(own_folder(studio.runs.folder)),
        )  # fmt: skip

    async def keep(request: Request) -> Response:
        body = read_body(RubricBody, await request.body())
        path = await run_in_threadpool(save, studio.runs.folder, body.name, body.text)
        return JSONResponse({"file": shown_path(path)})

    return [Route("/prompts", page), Route("/api/prompts/save", keep, methods=["POST"])]
