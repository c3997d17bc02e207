"""The page Prompts: every rubric with its text, where it was used, its tests, and a copy to edit, test and adopt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.studio.pages.prompts.history import History, Test, by_golden_set
from efficient_empathy.studio.pages.prompts.rubrics import (
    adopt,
    adopted,
    own_folder,
    references,
    rubrics_of_studio,
    save,
)
from efficient_empathy.studio.pages.prompts.testing import BUNDLED, CompareBody, TestBody, Tester, golden_sets
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.bodies import Body, read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.job_routes import job_routes
from efficient_empathy.studio.server.jobs import shown_path
from efficient_empathy.studio.server.judging import own_judges

B = TypeVar("B", bound=Body)
KNOWN = ("golden",)
"""What the page's address may have: the golden set that is chosen at first."""


class RubricBody(Body):
    """A rubric as it was edited."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    text: Annotated[str, Field(min_length=1, max_length=200_000)]


class AdoptBody(Body):
    """The rubric that New run is to offer first."""

    name: Annotated[str, Field(min_length=1, max_length=80)]


def routes(studio: Studio) -> list[BaseRoute]:
    """`/prompts`; below `/api/prompts/` those of its jobs, and by POST `save`, `adopt`, `price`, `test`, `compare`."""
    folder = studio.runs.folder
    history = History([folder, Path()])

    def tester() -> Tester:
        studio.runs.look()
        return Tester(folder, golden_sets(_runs(studio)), history.tests())

    def keep(body: RubricBody) -> dict[str, Any]:
        path = save(folder, body.name, body.text)
        return {"file": shown_path(path), "name": body.name}

    def take(body: AdoptBody) -> dict[str, Any]:
        adopt(folder, body.name)
        return {"adopted": adopted(folder)}

    def start(body: TestBody) -> dict[str, Any]:
        command = tester().command(body)
        body.judging.hand_over_key(studio.jobs, folder)
        return studio.jobs.start(folder, command).model_dump(mode="json")

    def compare(body: CompareBody) -> dict[str, Any]:
        return studio.jobs.start(folder, tester().comparison(body)).model_dump(mode="json")

    return [
        Route("/prompts", lambda request: _page(studio, history, request)),
        _post("save", RubricBody, keep),
        _post("adopt", AdoptBody, take),
        _post("price", TestBody, lambda body: tester().price(body)),
        _post("test", TestBody, start),
        _post("compare", CompareBody, compare),
        *job_routes(studio.jobs, "/api/prompts", lambda _: folder),
    ]


def _post(name: str, kind: type[B], work: Callable[[B], dict[str, Any]]) -> Route:
    async def respond(request: Request) -> Response:
        body = read_body(kind, await request.body())
        return JSONResponse(await run_in_threadpool(work, body))

    return Route(f"/api/prompts/{name}", respond, methods=["POST"])


def _runs(studio: Studio) -> list[tuple[str, Any]]:
    return [(name, studio.runs.workspace(name)) for name in studio.runs]


def _page(studio: Studio, history: History, request: Request) -> Response:
    studio.runs.look()
    runs = _runs(studio)
    rubrics = rubrics_of_studio(studio.runs.folder, runs)
    tests, golden = history.tests(), golden_sets(runs)
    query = Address(request.query_params, KNOWN)
    chosen = query.one_of("golden", golden, BUNDLED)

    def difference(first: str, second: str) -> str:
        """The address of the word diff from one rubric to another."""
        query = [("what", "rubrics"), ("rubric", first), ("rubric", second)]
        return "/compare?" + urlencode([*query, *([("run", runs[0][0])] if runs else [])])

    by_path = {str(test.path.resolve()): test for test in tests}

    def against(test: Test) -> str:
        """What a test was held against: an earlier one, or what its set expects."""
        name = test.record.baseline.name
        earlier = by_path.get(name) or by_path.get(str(test.path.resolve().with_name(name)))
        return f"the test of {earlier.title}" if earlier else Path(name).name

    return studio.render(
        request, "prompts.html.j2", rubrics=rubrics, difference=difference if runs else None, against=against,
        known={one.rubric.hash for one in rubrics}, names=list(references(studio.runs.folder)),
        adopted=adopted(studio.runs.folder), tests=tests, sets=by_golden_set(tests),
        latest={test.record.rubric.hash: test for test in reversed(tests)}, comparisons=history.comparisons(),
        golden=golden, chosen=chosen, query=query,
        own_judges=list(own_judges(studio.runs.folder)), folder=shown_path(own_folder(studio.runs.folder)), words=words,
    )  # fmt: skip
