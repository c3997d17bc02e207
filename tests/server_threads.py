"""Servers of ours in a thread, for as long as a `with` lasts.

uvicorn looks ten times a second whether it is to end, and ends in steps as long; here it does so a hundred times.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Iterator
from types import SimpleNamespace

import uvicorn.server


def _sleep(seconds: float) -> Awaitable[None]:
    return asyncio.sleep(min(seconds, 0.01))


uvicorn.server.asyncio = SimpleNamespace(**vars(asyncio) | {"sleep": _sleep})


@contextlib.contextmanager
def in_a_thread(server: uvicorn.Server, listening: socket.socket, name: str, seconds: float) -> Iterator[None]:
    """The server of that name, on a socket that listens; it must have ended so many seconds after it is told to."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(seconds)
        listening.close()
        assert not thread.is_alive(), f"{name} does not stop"
