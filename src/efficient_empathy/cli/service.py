"""`efficient-empathy serve`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.options import Json, Options, err, show, takes_permissions
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.service.settings import TOKEN_VARIABLE, ServiceSettings

IDLE_S = 90.0
"""How long a connection may rest between requests: longer than gateways keep theirs, so that they end them first."""


GRACE_S = 2.0
"""How long a new connection is left alone: of a burst that is too large, those that came first are answered."""


@takes_permissions
def serve(
    settings: ServiceSettings,
    reading: Annotated[dict[str, Any], Options(ReadingSettings, only=("format", "columns", "roles", "side"))],
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="A scored run: its policy, its judge (RUN/judge), and its samples as the reference for drift.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score conversations over HTTP as they come, with the distilled judge. GET / describes the addresses.

    It keeps no text. Ctrl-C or SIGTERM ends it once what is under way has been answered.

    Example: efficient-empathy serve runs/mine

    Example: curl --json '{"context": "I failed my exam.", "response": "Oh no."}' http://127.0.0.1:8322/v1/score
    """
    from dataclasses import replace

    from efficient_empathy.service.app import make_app
    from efficient_empathy.service.serving import load_served
    from efficient_empathy.service.tokens import Tokens
    from efficient_empathy.service.tracing import make_spans
    from efficient_empathy.web.addresses import is_loopback
    from efficient_empathy.web.connections import Limits
    from efficient_empathy.web.server import listen
    from efficient_empathy.web.server import serve as run_server

    tokens = Tokens(settings.token_file)
    os.environ.pop(TOKEN_VARIABLE, None)
    if not tokens.required and not is_loopback(settings.host):
        from efficient_empathy.foundation.errors import UserError

        raise UserError(
            f"the service needs a token where others reach it (--host {settings.host}): put one into the environment "
            f"variable {TOKEN_VARIABLE}, or into a file and pass --token-file FILE; `openssl rand -hex 32` makes one"
        )
    served = load_served(settings, run)
    spans = make_spans(lambda warning: err.print(f"! {warning}", markup=False))
    folder = settings.keep or (run / "service" if run is not None else None)
    listening = listen(settings.host, settings.port, what="the service")
    with suppress(KeyboardInterrupt), listening:
        port = listening.getsockname()[1]
        app = make_app(served, settings, tokens, ReadingSettings(**reading, on_bad_row="skip"), folder, spans)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{name}:{port}"
        record = served.record
        content = {"url": url, "host": settings.host, "port": port, "judge": record.judge, "token": tokens.required}
        words = f"Service: {url} (judge {record.judge}, policy {record.policy['name']}; GET / describes it)"
        show(content, as_json, words)
        sys.stdout.flush()
        limits = Limits.of_system()
        run_server(
            app,
            listening,
            replace(limits, from_one=limits.in_all, idle_s=IDLE_S, grace_s=GRACE_S),
            patience_s=round(settings.timeout) + 1,
        )
    err.print("The service has ended.")
