"""What every page of the studio is given: the runs, the templates, the links of annotators."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.figures import formatting as words
from efficient_empathy.foundation.figures.looks import Looks
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.server.address import Address
from efficient_empathy.studio.server.axis_words import axis_words
from efficient_empathy.studio.server.jobs import Jobs
from efficient_empathy.studio.server.links import Annotator, Links
from efficient_empathy.studio.server.look import looks_in, looks_of, palette_css, query_of
from efficient_empathy.studio.server.runs import Runs
from efficient_empathy.studio.server.selections import Selections, Tables

if TYPE_CHECKING:
    from efficient_empathy.studio.pages.chat.turns import ChatEndpoint

_PACKAGE = "efficient_empathy.studio"
BODY_LIMIT = 1 << 20
"""Bytes of a request's body."""
FILTERS = {
    "clip": words.clip,
    "count": words.count,
    "dollars": words.dollars,
    "moment": words.moment,
    "number": words.number,
    "plural": words.plural,
    "share": words.share,
    "size": words.size,
}
"""How templates write numbers and text: as the report does."""


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A page in the navigation: its name is its path, its module and its template."""

    name: str
    title: str


def _page_folders() -> list[Traversable]:
    """The folders of the pages, each with its template, scripts and styles."""
    return sorted((f for f in files(_PACKAGE).joinpath("pages").iterdir() if f.is_dir()), key=lambda f: f.name)


def _template(name: str) -> str | None:
    """A template by its file's name, of the server or of a page; no two share a name."""
    for folder in (files(_PACKAGE).joinpath("server", "templates"), *_page_folders()):
        if (file := folder.joinpath(name)).is_file():
            return file.read_text("utf-8")
    return None


def data_folder() -> Path:
    """Where the studio keeps what belongs to no run, such as the key that signs links: the user's state folder."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "efficient-empathy" / "studio"


PALETTE = "palette.css"
"""The colours of the subsets that its query names."""


class Static:
    """The files that pages load, held in memory: nothing on the disk can be asked for. `version` is their hash."""

    def __init__(self) -> None:
        self._files = {PALETTE: palette_css(Looks()).encode()}
        for folder in (files(_PACKAGE).joinpath("server", "static"), *_page_folders()):
            for file in folder.iterdir():
                if file.name.endswith((".js", ".css")):
                    self._files[file.name] = file.read_bytes()
        listing = "".join(f"{name} {sha256(content).hexdigest()}\n" for name, content in sorted(self._files.items()))
        self.version = sha256(listing.encode()).hexdigest()[:12]

    def address(self, name: str) -> str:
        """The path of a file, which changes with any file, so that browsers may keep it for ever."""
        if name not in self._files:
            raise KeyError(f"no static file {name}")
        return f"/static/{self.version}/{name}"

    def respond(self, request: Request) -> Response:
        """The endpoint of `/static/VERSION/NAME`."""
        name, version = request.path_params["name"], request.path_params["version"]
        content = self._files.get(name)
        if name == PALETTE:
            content = palette_css(looks_in(request.query_params)).encode()
        if content is None:
            return Response("no such file\n", 404, media_type="text/plain")
        caching = "public, max-age=31536000, immutable" if version == self.version else "no-cache"
        media = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        return Response(content, media_type=media, headers={"Cache-Control": caching})


@dataclass
class Studio:
    """One studio: handed to the `routes` of every page."""

    runs: Runs
    host: str
    port: int
    token: str | None
    """What the owner shows; None where nobody needs one."""
    read_only: bool
    data_folder: Path
    limit: int = BODY_LIMIT
    """Bytes of a request's body."""
    allowed_hosts: Sequence[str] = ()
    """Names by which a proxy asks for the studio."""
    chat_endpoints: Sequence[ChatEndpoint] = ()
    """Models behind an endpoint that the chat offers beside the run's own."""
    pages: list[NavigationEntry] = field(default_factory=list)
    jobs: Jobs = field(init=False)
    tables: Tables = field(default_factory=Tables)
    selections: Selections = field(default_factory=Selections)
    links: Links = field(init=False)
    static: Static = field(init=False)
    templates: jinja2.Environment = field(init=False)

    def __post_init__(self) -> None:
        self.links = Links(self.data_folder)
        self.jobs = Jobs(self.data_folder)
        self.static = Static()
        self.templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(_template), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, cache_size=-1,
        )  # fmt: skip
        self.templates.globals |= {"static": self.static.address, "studio": self}
        self.templates.filters |= FILTERS

    def annotator(self, request: Request) -> Annotator | None:
        """Who rates here by a link; None where the owner asks."""
        annotator: Annotator | None = request.scope["state"]["annotator"]
        return annotator

    def _axis_words(self, run: str) -> dict[str, str]:
        try:
            return axis_words(self.tables.of(self.runs.workspace(run)))
        except UserError:
            return {}

    def run_name(self, request: Request) -> str:
        """The run that a request is about: `?run=NAME`, else the first; an annotator's is always the link's.

        Raises `UserError` when there is no run of that name.
        """
        annotator = self.annotator(request)
        name = annotator.run if annotator else request.query_params.get("run") or next(iter(self.runs), "")
        if not name:
            raise UserError("there is no run here yet: make one on the page New run")
        if name not in self.runs:
            self.runs.look()
        self.runs.workspace(name)
        return name

    def run(self, request: Request) -> Workspace:
        """The folder of the run that a request is about."""
        return self.runs.workspace(self.run_name(request))

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        query: Address | None = None,
        **context: Any,
    ) -> Response:
        """A page: `template` with `context`, and with what the shell shows (page, run, annotator).

        `query` is the page's address as the page has read it, without one the page reads nothing of it: what was passed
        over stands above the page.
        """
        try:
            run: str | None = self.run_name(request)
        except UserError:
            run = None
        annotator = self.annotator(request)
        looks = None if annotator else looks_of(self.runs, self.runs.names)  # subsets' names are experts' names
        shell = {
            "looks": looks,
            "palette": f"{self.static.address(PALETTE)}?{query_of(looks)}" if looks else None,
            "page": template.removesuffix(".html.j2"),
            "run": run,
            "annotator": annotator,
            "axis_words": self._axis_words(run) if run and not annotator else {},
            "address_notes": [] if annotator else (query or Address(request.query_params)).notes,
        }
        return HTMLResponse(self.templates.get_template(template).render(shell | context), status)
