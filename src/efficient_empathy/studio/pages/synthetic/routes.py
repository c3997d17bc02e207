"""The page of synthetic samples: what was asked for, what it came through, and every candidate with its fate."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.studio.pages.synthetic.views import KEPT, shown
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.context import Studio
from efficient_empathy.synthesis.plan import by_name
from efficient_empathy.synthesis.record import SynthesisRecord

CELLS = 20
"""Lines of the plan that are shown."""
KNOWN = ("fate", "generator", "page")
"""What the page's address may have."""


def routes(studio: Studio) -> list[BaseRoute]:
    """The page."""
    return [Route("/synthetic", partial(_page, studio))]


def _page(studio: Studio, request: Request) -> Response:
    name, query = studio.run_name(request), Address(request.query_params, KNOWN)
    workspace = studio.runs.workspace(name)
    record, part, fault = None, None, ""
    try:
        record = workspace.stage(SynthesisRecord.STAGE, SynthesisRecord)
        if record is not None:
            path = studio.runs.file(name, "synthesis", "candidates.parquet")
            workspace.require(path, "synthesize")
            axes = tuple(axis.name for axis in studio.tables.of(workspace).axes)
            part = shown(path, record, axes, query)
    except UserError as error:
        record, fault = None, f"{error}"
    lacking = []
    if record is not None:
        groups = [
            (one, cells) for one, cells in by_name(record.cells).items() if any(c.wanted or c.kept for c in cells)
        ]
        lacking = sorted(groups, key=lambda group: -sum(cell.wanted for cell in group[1]))

    def address(**changes: object) -> str:
        now = {"fate": part.fate, "generator": part.generator, "page": 1} if part else {}
        wanted = {"run": name, **now, **changes}
        return "/synthetic?" + urlencode({key: value for key, value in wanted.items() if value not in ("", None)})

    return studio.render(
        request, "synthetic.html.j2", query=query, record=record, part=part, fault=fault,
        lacking=lacking[:CELLS],
        more=max(0, len(lacking) - CELLS), address=address, words=words, kept=KEPT, folder=workspace.root,
    )  # fmt: skip
