"""`efficient-empathy studio`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efficient_empathy.cli.shared import Json, err, show
from efficient_empathy.foundation.errors import UserError

if TYPE_CHECKING:
    from efficient_empathy.studio.pages.chat.models import ChatEndpoint

PORTS_TRIED = 20
"""Ports after the first that are tried when nobody asked for a certain one."""


def studio(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]...", help="Runs' folders; without any, all those in ./runs.", show_default=False),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on. Anything but loopback demands a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port; 0 takes a free one. 8321 or the next free by default."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EFFICIENT_EMPATHY_STUDIO_TOKEN",
            help="What visitors must show, at least 16 characters; made for you where --host demands one.",
            show_default=False,
        ),
    ] = None,
    open_: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open", help="Open it in a browser; by default where you sit at a desktop and need no token."
        ),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Take no ratings, start and stop nothing.")] = False,
    chat_url: Annotated[
        str | None,
        typer.Option(help="Chat: an OpenAI-compatible endpoint whose model is offered beside the run's own."),
    ] = None,
    chat_model: Annotated[str | None, typer.Option(help="Chat: the model's name there.")] = None,
    chat_key_env: Annotated[
        str, typer.Option(help="Chat: the environment variable that holds the endpoint's key.")
    ] = "OPENAI_API_KEY",
    as_json: Json = False,
) -> None:
    """Open the studio on one or more runs, in a browser: thresholds, samples, live scoring, ratings.

    It listens on this machine alone, unless --host says otherwise. Ctrl-C ends it.

    Example: efficient-empathy studio runs/demo
    """
    import secrets

    from efficient_empathy.studio.server.addresses import is_loopback
    from efficient_empathy.studio.server.app import PORT, listen, make_app, serve
    from efficient_empathy.studio.server.runs import runs_under

    if (chat_url is None) != (chat_model is None):
        raise UserError("--chat-url and --chat-model belong together: name both")
    folders = runs or runs_under(Path("runs"))
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(32)
    listening = listen(host, PORT if port is None else port, tries=1 + PORTS_TRIED if port is None else 1)
    with listening:
        bound = listening.getsockname()[1]
        app = make_app(
            folders, host=host, port=bound, token=token, read_only=read_only,
            chat_endpoints=_endpoints(chat_url, chat_model, chat_key_env),
        )  # fmt: skip
        url = _url(host, bound, token)
        show({"url": url, "host": host, "port": bound, "runs": list(app.state.studio.runs)}, as_json, f"Studio: {url}")
        sys.stdout.flush()
        if open_ or (open_ is None and token is None and _has_desktop()):
            webbrowser.open(url)
        try:
            serve(app, listening)
        except KeyboardInterrupt:
            err.print("The studio has ended.")


def _endpoints(url: str | None, model: str | None, key_env: str) -> list[ChatEndpoint]:
    from efficient_empathy.modelling.generation.settings import EndpointOptions
    from efficient_empathy.studio.pages.chat.models import ChatEndpoint

    return [ChatEndpoint(model, EndpointOptions(url, key_env))] if url and model else []


def _url(host: str, port: int, token: str | None) -> str:
    """Where a browser finds it; for all of this machine's addresses, by the machine's name."""
    import socket

    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def _has_desktop() -> bool:
    """Whether a person sits at a terminal on a desktop, so that a browser can be opened for them."""
    desktop = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.stdout.isatty() and bool(desktop) and not os.environ.get("SSH_CONNECTION")
