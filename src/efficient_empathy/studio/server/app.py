"""The studio's web application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages import chat, live
from efficient_empathy.studio.pages.analytics import routes as analytics
from efficient_empathy.studio.pages.chat.turns import ChatEndpoint
from efficient_empathy.studio.pages.compare import routes as compare
from efficient_empathy.studio.pages.lab import routes as lab
from efficient_empathy.studio.pages.new import routes as new
from efficient_empathy.studio.pages.prompts import routes as prompts
from efficient_empathy.studio.pages.rate import routes as rate
from efficient_empathy.studio.pages.runs import routes as runs_list
from efficient_empathy.studio.pages.runs.routes import runs_page
from efficient_empathy.studio.pages.samples import routes as samples
from efficient_empathy.studio.pages.service import routes as service
from efficient_empathy.studio.pages.steps import routes as steps
from efficient_empathy.studio.pages.synthetic import routes as synthetic
from efficient_empathy.studio.server.context import NavigationEntry, Studio, data_folder
from efficient_empathy.studio.server.runs import Runs
from efficient_empathy.studio.server.security import Guard, checked_token, error_response
from efficient_empathy.web.rates import Lockouts, Rates

PORT = 8321
PAGES: tuple[tuple[str, str, Callable[[Studio], list[BaseRoute]]], ...] = (
    ("runs", "Runs", runs_list.routes),
    ("live", "Live", live.routes),
    ("lab", "Thresholds", lab.routes),
    ("samples", "Samples", samples.routes),
    ("steps", "Steps", steps.routes),
    ("analytics", "Analytics", analytics.routes),
    ("compare", "Compare", compare.routes),
    ("synthetic", "Synthetic", synthetic.routes),
    ("rate", "Rate", rate.routes),
    ("chat", "Chat", chat.routes),
    ("prompts", "Prompts", prompts.routes),
    ("service", "Service", service.routes),
)
"""The pages: their path, what they are called, and what they answer."""


def make_app(
    runs: Sequence[Path],
    *,
    home: Path | None = None,
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

    `home` is a folder of runs: the studio is on all that are in it, now or later, and makes new ones there.
    Without a `token` everyone who reaches it is the owner, so that is for loopback on a machine of your own. `folder`
    is where the studio keeps what belongs to no run; `rates` how fast one client may ask, `lockouts` how long one waits
    who shows wrong tokens; `allowed_hosts` are names by which a proxy asks for it; `chat_endpoints` are offered by the
    chat beside the run's models. Raises `UserError` for a folder that is no run, and for a token that is too short.
    """
    if token is not None:
        checked_token(token)
    studio = Studio(
        Runs(runs, home), host, port, token, read_only, folder or data_folder(), allowed_hosts=tuple(allowed_hosts),
        chat_endpoints=tuple(chat_endpoints),
    )  # fmt: skip
    routes: list[BaseRoute] = [Route("/static/{version}/{name}", studio.static.respond), Route("/", _home(studio))]
    routes += new.routes(studio)
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


def _home(studio: Studio) -> Callable[[Request], Response]:
    """The first page: of a single run its thresholds, of a folder of runs their list, and New run where it is empty."""

    def home(request: Request) -> Response:
        if studio.runs.home is None and len(studio.runs) == 1:
            return RedirectResponse(f"/lab?{urlencode({'run': studio.runs.names[0]})}", 303)
        studio.runs.look()
        return runs_page(studio, request) if len(studio.runs) else RedirectResponse("/new", 303)

    return home
