"""A server of chat completions and messages on this machine that misbehaves as told, for tests of who talks to one.

    with MisbehavingServer([too_many_requests(retry_after="3"), ok("7 8")]) as server:
        Endpoint(server.url, "gpt-4o", ...)

What it does is one behaviour (for every request), a list (one request each, in order of arrival; after that `ok()`), or
a function from the request's JSON and its number (from 0) to a behaviour. `misbehaviours.py` has the behaviours.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from api_server import ApiServer
from misbehaviours import Behaviour, ok

Script = Behaviour | Iterable[Behaviour] | Callable[[dict[str, Any], int], Behaviour]


class MisbehavingServer(ApiServer):
    """The server, in a thread of its own, on a free port of the loopback interface; a context manager.

    `requests` are the bodies as they came, `headers` the headers; `max_concurrent` is how many were open at once. With
    the `port` of an earlier one it is the same server, started again.
    """

    def __init__(self, script: Script | None = None, *, latency_s: float = 0.0, port: int = 0) -> None:
        super().__init__(port, handler_cancellation=True)
        self._script: Script = ok() if script is None else script
        self._queue = iter(self._script) if isinstance(self._script, Iterable) else iter(())
        self._latency_s = latency_s
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.concurrent = 0
        self.max_concurrent = 0

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2**28)
        for path in ("/v1/chat/completions", "/v1/messages"):
            app.router.add_post(path, self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self.concurrent)
        try:
            body = await request.json()
            number = len(self.requests)
            self.requests.append(body)
            self.headers.append(dict(request.headers))
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
            return await self._behaviour(body, number).respond(request, self._released)
        finally:
            self.concurrent -= 1

    def _behaviour(self, body: dict[str, Any], number: int) -> Behaviour:
        if isinstance(self._script, Behaviour):
            return self._script
        if callable(self._script):
            return self._script(body, number)
        return next(self._queue, ok())


def refusing_url() -> str:
    """A base URL on this machine where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"
