"""An API on this machine, in a thread of its own, for as long as a `with` lasts."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Any, Self

from aiohttp import web


class ApiServer(ABC):
    """Serves `_app()` on a free port of the loopback interface; with the `port` of an earlier one, there again.

    `_released` is set when it is to end. `runner` is how aiohttp is to run the app.
    """

    def __init__(self, port: int = 0, **runner: Any) -> None:
        self.port = port
        self.url = ""
        self._runner = {"access_log": None, "shutdown_timeout": 1.0} | runner
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._released.set)
        self._thread.join(10)

    @abstractmethod
    def _app(self) -> web.Application:
        """The app, made in the server's own thread."""

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._released = asyncio.Event()
        runner = web.AppRunner(self._app(), **self._runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._started.set()
        await self._released.wait()
        await runner.cleanup()
