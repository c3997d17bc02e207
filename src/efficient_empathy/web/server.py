"""The server that an application runs in, and the socket that it listens on."""

from __future__ import annotations

import math
import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.signals import ENDING, is_ours
from efficient_empathy.web.connections import BACKLOG, BoundedProtocol, Limits


def listen(host: str, port: int, *, tries: int = 1, what: str = "the studio") -> socket.socket:
    """A socket that listens on `port`, or on one of the next of `tries` if it is taken; 0 takes any that is free.

    Raises `UserError` where there is none; `what` is what cannot listen then.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    why = "no port left"
    for candidate in range(port, port + tries):
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio sets no TCP_NODELAY
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, candidate))
            listening.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            listening.close()
            why = getattr(error, "strerror", None) or f"{error}"
            continue
        return listening
    raise UserError(f"{what} cannot listen on {host}, port {port} ({why}): choose others with --host and --port")


def make_server(app: ASGIApp, limits: Limits | None = None, *, patience_s: int = 1) -> uvicorn.Server:
    """A server for `app`: it writes no log, says nothing of itself, and at its end lets open requests go after a while.

    What goes wrong in the application is logged there. `limits` say how long a client may keep it waiting, and whose
    word it takes for where a request comes from; `patience_s` is how long open requests have at its end.
    """
    limits = limits or Limits.of_system()
    config = uvicorn.Config(
        app,
        http=type("Protocol", (BoundedProtocol,), {"limits": limits}),
        ws="none",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=bool(limits.proxies),
        forwarded_allow_ips=list(limits.proxies),
        backlog=BACKLOG,
        timeout_graceful_shutdown=patience_s,
        timeout_keep_alive=math.ceil(max(limits.header_s, limits.idle_s or 0)),
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, listening: socket.socket, limits: Limits | None = None, *, patience_s: int = 1) -> None:
    """Serve on a socket that listens, until Ctrl-C, SIGTERM or SIGHUP; options as of `make_server`."""
    server = make_server(app, limits, patience_s=patience_s)
    for number in ENDING:  # uvicorn itself does not know a hang-up
        if is_ours(number):
            signal.signal(number, server.handle_exit)
    server.run(sockets=[listening])
