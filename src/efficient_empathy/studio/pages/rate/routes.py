"""The page Rate: the owner sets up ratings and watches; whoever comes by a link rates, and sees nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.rate.bodies import Answer, Body, Closing, LinkChange, Setup, Undoing
from efficient_empathy.studio.pages.rate.endpoints import Annotators, Owner
from efficient_empathy.studio.pages.rate.store import Stores
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.security import owner_only


def routes(studio: Studio) -> list[BaseRoute]:
    """The page, the owner's requests and the annotators'."""
    stores = Stores()
    owner, annotators = Owner(studio, stores), Annotators(studio, stores)

    def page(request: Request) -> Response:
        if studio.annotator(request):
            return studio.render(request, "rate_annotator.html.j2", page="rate", run=None)
        return studio.render(request, "rate.html.j2", page="rate")

    def mine(handle: Callable[..., Any]) -> Callable[..., Any]:
        def checked(request: Request, *body: Any) -> Any:
            owner_only(studio, request)
            return handle(request, *body)

        return checked

    return [
        Route("/rate", page),
        Route("/api/rate/studies", _get(mine(owner.overview))),
        Route("/api/rate/studies", _post(mine(owner.set_up), Setup), methods=["POST"]),
        Route("/api/rate/links", _post(mine(owner.change_link), LinkChange), methods=["POST"]),
        Route("/api/rate/close", _post(mine(owner.close), Closing), methods=["POST"]),
        Route("/api/rate/export", mine(owner.export)),
        Route("/api/rate/start", _get(annotators.start)),
        Route("/api/rate/task", _get(annotators.task)),
        Route("/api/rate/answer", _post(annotators.answer, Answer), methods=["POST"]),
        Route("/api/rate/undo", _post(annotators.undo, Undoing), methods=["POST"]),
    ]


def _get(handle: Callable[[Request], Any]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return JSONResponse(handle(request))

    return endpoint


def _post(handle: Callable[..., Any], model: type[Body]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            body = model.model_validate(json.loads(await request.body()))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the request"
            raise UserError(f"{where}: {first['msg'].lower()}") from error
        except ValueError as error:
            raise UserError("the request is not JSON: reload the page") from error
        return JSONResponse(await run_in_threadpool(handle, request, body))

    return endpoint
