"""The routes of the chat: the page, whom one can ask, replies as they are made, turns for rating."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.chat.conversation import Conversations, event
from efficient_empathy.studio.pages.chat.turns import (
    MOST_TOKENS,
    ChatEndpoint,
    ChatRequest,
    RatingRequest,
    list_models,
    send,
    turns,
)
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.bodies import read_body
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.studio.server.look import subset_looks

KNOWN = ("model", "temperature", "max_tokens", "history")
"""What the page's address may have."""
LENGTH, MOST_HEAT = 96, 1.5
"""Tokens of a reply at first, and the highest temperature that can be chosen."""


def routes(studio: Studio) -> list[BaseRoute]:
    """`/chat`, and below `/api/chat/`: `models`, and by POST `replies` (a stream of events) and `turns`."""
    talk = Conversations()

    def page(request: Request) -> Response:
        workspace, query = studio.run(request), Address(request.query_params, KNOWN)
        query.number("temperature", 0, 0, MOST_HEAT)
        query.number("max_tokens", LENGTH, 1, MOST_TOKENS, whole=True)
        query.one_of("history", ("shared", "own"), "shared")
        if query.text("model"):
            query.some_of("model", [str(one["name"]) for one in list_models(workspace, studio.chat_endpoints)])
        return studio.render(
            request, "chat.html.j2", query=query, length=LENGTH, most_heat=MOST_HEAT, most_tokens=MOST_TOKENS
        )

    def models(request: Request) -> Response:
        workspace = studio.run(request)
        looks = {one["name"]: one["look"] for one in subset_looks(studio.tables.of(workspace))}
        listing = list_models(workspace, studio.chat_endpoints)
        return JSONResponse({"models": listing, "queue": len(turns(workspace)), "looks": looks})

    async def replies(request: Request) -> Response:
        workspace, chat = studio.run(request), read_body(ChatRequest, await request.body(), may_have_nul=True)
        return StreamingResponse(_events(talk, workspace, studio.chat_endpoints, chat), media_type="text/event-stream")

    async def rating(request: Request) -> Response:
        workspace, turn = studio.run(request), read_body(RatingRequest, await request.body(), may_have_nul=True)
        labels = {str(one["name"]): str(one["label"]) for one in list_models(workspace, studio.chat_endpoints)}
        return JSONResponse(send(workspace, turn, labels))

    return [
        Route("/chat", page),
        Route("/api/chat/models", models),
        Route("/api/chat/replies", replies, methods=["POST"]),
        Route("/api/chat/turns", rating, methods=["POST"]),
    ]


async def _events(
    talk: Conversations, workspace: Workspace, endpoints: Sequence[ChatEndpoint], chat: ChatRequest
) -> AsyncIterator[str]:
    async for kind, data in talk.replies(workspace, endpoints, chat):
        yield event(kind, data)
