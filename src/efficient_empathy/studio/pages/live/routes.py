"""The routes of the live page: the page, its events, stop and go on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from efficient_empathy.studio.pages.live.watching import Watches
from efficient_empathy.studio.server.context import Studio


def routes(studio: Studio) -> list[BaseRoute]:
    """`/live`, and below `/api/live/`: `events`, and by POST `stop` and `go-on`; all of `?run=NAME`."""
    watches = Watches()

    async def page(request: Request) -> Response:
        watches.of(studio.run(request))
        return studio.render(request, "live.html.j2")

    async def events(request: Request) -> Response:
        watch = watches.of(studio.run(request))
        last_id = request.headers.get("last-event-id", "")
        return StreamingResponse(watch.events(last_id), media_type="text/event-stream")

    def stop(request: Request) -> Response:
        watches.of(studio.run(request)).control.stop()
        return JSONResponse({"stopping": True})

    def go_on(request: Request) -> Response:
        watches.of(studio.run(request)).control.go_on()
        return JSONResponse({"starting": True})

    return [
        Route("/live", page),
        Route("/api/live/events", events),
        Route("/api/live/stop", stop, methods=["POST"]),
        Route("/api/live/go-on", go_on, methods=["POST"]),
    ]
