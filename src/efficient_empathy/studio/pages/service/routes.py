"""The page of the service: traffic, scores and drift of the last hours, from the counts that it keeps in a run."""

from __future__ import annotations

import time
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures import charts as figures
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.selection.policies import display_symbol
from efficient_empathy.service.history import SERVED, TRAFFIC
from efficient_empathy.service.serving import ServedRecord
from efficient_empathy.service.traffic import TrafficFolder
from efficient_empathy.studio.pages.service import views
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.context import PALETTE, Studio
from efficient_empathy.studio.server.look import looks_of, query_of

DEFAULT = 1
"""Hours that are shown unless the address says otherwise."""
KNOWN = ("hours",)
"""What the page's address may have."""


def routes(studio: Studio) -> list[BaseRoute]:
    """The page."""
    return [Route("/service", partial(_page, studio))]


def _page(studio: Studio, request: Request) -> Response:
    name, now = studio.run_name(request), time.time()
    query = Address(request.query_params, KNOWN)
    hours = int(query.one_of("hours", [f"{hours}" for hours in views.PERIODS], f"{DEFAULT}"))
    folder = studio.runs.workspace(name).root / "service"
    record, view, fault = None, None, ""
    try:
        record = ServedRecord.read_if_there(folder / SERVED)
        if record is not None:
            minutes = TrafficFolder(folder / TRAFFIC).read(int(now // 60) - 60 * max(views.PERIODS), record)
            view = views.view_of(record, minutes, hours, now)
    except UserError as error:
        fault = f"{error}"
    looks = looks_of(studio.runs, studio.runs.names)
    names = [*looks.subsets, *(record.subsets if record else ()), *(record.scales if record else ()), *views.LATENCY]
    looks = Looks.of(names, looks.otherwise or (record.otherwise if record else ""))
    return studio.render(
        request, "service.html.j2", query=query, record=record, view=view, fault=fault, hours=hours,
        periods=views.PERIODS,
        address=lambda hours: "/service?" + urlencode({"run": name, "hours": hours}), looks=looks,
        palette=f"{studio.static.address(PALETTE)}?{query_of(looks)}", words=words, figures=figures, views=views,
        symbol=display_symbol, folder=studio.runs.workspace(name).root,
    )  # fmt: skip
