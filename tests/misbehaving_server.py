"""A server of chat completions and messages on this machine that misbehaves as told, for tests of who talks to one.

    with MisbehavingServer([too_many_requests(retry_after="3"), ok("7 8")]) as server:
        Endpoint(server.url, "gpt-4o", ...)

What it does is one behaviour (for every request), a list (one request each, in order of arrival; after that `ok()`), or
a function from the request's JSON and its number (from 0) to a behaviour. `misbehaviours.py` has the behaviours.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from misbehaviours import Behaviour, ok

Script = Behaviour | Iterable[Behaviour] | Callable[[dict[str, Any], int], Behaviour]


class MisbehavingServer:
    """The server, in a thread of its own, on a free port of the loopback interface; a context manager.

    `requests` are the bodies as they came, `headers` the headers; `max_concurrent` is how many were open at once. With
    the `port` of an earlier one it is the same server, started again.
    """

    def __init__(self, script: Script | None = None, *, latency_s: float = 0.0, port: int = 0) -> None:
        self.port = port
        self._script: Script = ok() if script is None else script
        self._queue = iter(self._script) if isinstance(self._script, Iterable) else iter(())
        self._latency_s = latency_s
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.concurrent = 0
        self.max_concurrent = 0
        self.url = ""

    def __enter__(self) -> MisbehavingServer:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._released.set)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._released = asyncio.Event()
        app = web.Application(client_max_size=2**28)
        for path in ("/v1/chat/completions", "/v1/messages"):
            app.router.add_post(path, self._handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._started.set()
        await self._released.wait()
        await runner.cleanup()

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
