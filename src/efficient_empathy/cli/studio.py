"""`efficient-empathy studio`."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from efficient_empathy.cli.options import Json, err, show, takes_permissions
from efficient_empathy.studio.settings import StudioSettings

if TYPE_CHECKING:
    from efficient_empathy.studio.pages.chat.turns import ChatEndpoint

PORTS_TRIED = 20
"""Ports after the first that are tried when nobody asked for a certain one."""


@takes_permissions
def studio(
    settings: StudioSettings,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...", help="Runs' folders, or a folder of runs; ./runs by default.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Open the studio, in a browser: new runs, live scoring, thresholds, samples, training, ratings.

    On a folder of runs it shows all that are in it, and makes new ones there.

    It listens on this machine alone, unless --host says otherwise; where other people could reach it, the address that
    it prints holds a token. Ctrl-C ends it.

    Example: efficient-empathy studio

    Example: efficient-empathy studio runs/demo runs/mine
    """
    from efficient_empathy.studio.server.app import PORT, make_app
    from efficient_empathy.studio.server.runs import is_run
    from efficient_empathy.web.connections import Limits
    from efficient_empathy.web.server import listen, serve

    folders, home = runs or [], None if runs else Path("runs")
    if len(folders) == 1 and folders[0].is_dir() and not is_run(folders[0]):
        folders, home = [], folders[0]
    host, port = settings.host, settings.port
    token = _token(settings)
    listening = listen(host, PORT if port is None else port, tries=1 + PORTS_TRIED if port is None else 1)
    with suppress(KeyboardInterrupt), listening:
        bound_port = listening.getsockname()[1]
        app = make_app(
            folders, home=home, host=host, port=bound_port, token=token, read_only=settings.read_only,
            allowed_hosts=settings.allowed_hosts, chat_endpoints=_endpoints(settings),
        )  # fmt: skip
        url = _url(host, bound_port, token)
        show(
            {"url": url, "host": host, "port": bound_port, "runs": list(app.state.studio.runs)},
            as_json,
            f"Studio: {url}",
        )
        sys.stdout.flush()
        to_open = settings.open or (settings.open is None and token is None and _has_desktop())
        with _opened(url if to_open else None, token):
            serve(app, listening, Limits.of_system(settings.trusted_proxies))
    err.print("The studio has ended.")


def _token(settings: StudioSettings) -> str | None:
    """The token that visitors must show; None where whoever reaches the studio may enter."""
    import secrets

    from efficient_empathy.studio.server.accounts import others_have_accounts
    from efficient_empathy.web.addresses import is_loopback

    who = ""
    if settings.allowed_hosts or not is_loopback(settings.host):
        who = "whoever reaches it over the network"
    elif others_have_accounts():
        who = "everyone with an account on this machine"
    if settings.no_token and who:
        err.print(f"! Without a token {who} can open the studio, read the runs and change their ratings.", markup=False)
    return settings.token or (secrets.token_urlsafe(32) if who and not settings.no_token else None)


def _endpoints(settings: StudioSettings) -> list[ChatEndpoint]:
    from efficient_empathy.modelling.generation.settings import EndpointOptions
    from efficient_empathy.studio.pages.chat.turns import ChatEndpoint

    if settings.chat_url is None or settings.chat_model is None:
        return []
    options = EndpointOptions(settings.chat_url, settings.chat_key_env)
    return [ChatEndpoint(settings.chat_model, options, settings.chat_max_cost)]


def _url(host: str, port: int, token: str | None) -> str:
    """Where a browser finds it; for all of this machine's addresses, by the machine's name."""
    import socket

    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


@contextmanager
def _opened(url: str | None, token: str | None) -> Iterator[None]:
    """Open `url`, if there is one, in a browser, and keep what leads there for the block.

    One with a token is opened by way of a page that its owner alone can read: all users of a machine see the command
    line of a browser.
    """
    if url is None or token is None:
        if url is not None:
            webbrowser.open(url)
        yield
        return
    with TemporaryDirectory(prefix="studio-", ignore_cleanup_errors=True) as folder:
        page = Path(folder, "open.html")
        page.touch(0o600)
        page.write_text(
            '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Studio</title>'
            f'<meta http-equiv="refresh" content="0;url={escape(url)}"><a href="{escape(url)}">Open the studio</a>',
            "utf-8",
        )
        webbrowser.open(page.as_uri())
        yield


def _has_desktop() -> bool:
    """Whether a person sits at a terminal on a desktop, so that a browser can be opened for them."""
    desktop = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.stdout.isatty() and bool(desktop) and not os.environ.get("SSH_CONNECTION")
