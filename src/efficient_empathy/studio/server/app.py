"""The studio's web application, and the server that it runs in."""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.signals import ENDING, is_ours
from efficient_empathy.studio.pages import chat, live
from efficient_empathy.studio.pages.analytics import routes as analytics
from efficient_empathy.studio.pages.chat.turns import ChatEndpoint
from efficient_empathy.studio.pages.compare import routes as compare
from efficient_empathy.studio.pages.lab import routes as lab
from efficient_empathy.studio.pages.overview.routes import overview
from efficient_empathy.studio.pages.rate import routes as rate
from efficient_empathy.studio.pages.samples import routes as samples
from efficient_empathy.studio.server.connections import BACKLOG, BoundedProtocol, Limits
from efficient_empathy.studio.server.context import NavigationEntry, Studio, data_folder
from efficient_empathy.studio.server.rates import Lockouts, Rates
from efficient_empathy.studio.server.runs import Runs
from efficient_empathy.studio.server.security import Guard, checked_token, error_response

PORT = 8321
PAGES: tuple[tuple[str, str, Callable[[Studio], list[BaseRoute]]], ...] = (
    ("lab", "Thresholds", lab.routes),
    ("samples", "Samples", samples.routes),
    ("live", "Live", live.routes),
    ("analytics", "Analytics", analytics.routes),
    ("compare", "Compare", compare.routes),
    ("rate", "Rate", rate.routes),
    ("chat", "Chat", chat.routes),
)
"""The pages: their path, what they are called, and what they answer."""


def make_app(
    runs: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    read_only: bool = False,
    folder: Path | None = None,
    rates: Rates | None = None,
    lockouts: Lockouts | None = None,
    allowed_hosts: Sequence[str] = (),
    chat_endpoints: Sequence[ChatEndpoint] = (),
) -> Starlette:
    """The application on `runs`, for the address that it will be reached at; `app.state.studio` is its `Studio`.

    Without a `token` everyone who reaches it is the owner, so that is for loopback on a machine of your own. `folder`
    is where the studio keeps what belongs to no run; `rates` how fast one client may ask, `lockouts` how long one waits
    who shows wrong tokens; `allowed_hosts` are names by which a proxy asks for it; `chat_endpoints` are offered by the
    chat beside the run's models. Raises `UserError` for a folder that is no run, and for a token that is too short.
    """
    if token is not None:
        checked_token(token)
    studio = Studio(
        Runs(runs), host, port, token, read_only, folder or data_folder(), allowed_hosts=tuple(allowed_hosts),
        chat_endpoints=tuple(chat_endpoints),
    )  # fmt: skip
    routes: list[BaseRoute] = [Route("/static/{version}/{name}", studio.static.respond), Route("/", _home(studio))]
    for name, title, page in PAGES:
        studio.pages.append(NavigationEntry(name, title))
        routes += page(studio)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, studio=studio, rates=rates or Rates(), lockouts=lockouts or Lockouts())],
        exception_handlers={
            HTTPException: lambda request, error: error_response(request, studio, error),
            UserError: lambda request, error: error_response(request, studio, HTTPException(400, f"{error}")),
        },
    )
    app.state.studio = studio
    return app


def listen(host: str, port: int, *, tries: int = 1) -> socket.socket:
    """A socket that listens on `port`, or on one of the next of `tries` if it is taken; 0 takes any that is free.

    Raises `UserError` where there is none.
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
    raise UserError(f"the studio cannot listen on {host}, port {port} ({why}): choose others with --host and --port")


def make_server(app: Starlette, limits: Limits | None = None) -> uvicorn.Server:
    """A server for `app`: it writes no log, says nothing of itself, and at its end lets open pages go after a second.

    What goes wrong in the application is logged there. `limits` say how long a client may keep it waiting, and whose
    word it takes for where a request comes from.
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
        timeout_graceful_shutdown=1,
        timeout_keep_alive=math.ceil(limits.header_s),
    )
    return uvicorn.Server(config)


def serve(app: Starlette, listening: socket.socket, limits: Limits | None = None) -> None:
    """Serve on a socket that listens, until Ctrl-C, SIGTERM or SIGHUP; `limits` as of `make_server`."""
    server = make_server(app, limits)
    for number in ENDING:  # uvicorn itself does not know a hang-up
        if is_ours(number):
            signal.signal(number, server.handle_exit)
    server.run(sockets=[listening])


def _home(studio: Studio) -> Callable[[Request], Response]:
    def home(request: Request) -> Response:
        if len(studio.runs) == 1:
            return RedirectResponse(f"/lab?{urlencode({'run': studio.runs.names[0]})}", 303)
        return overview(studio, request)

    return home
