"""What the commands share: options, consoles, and how results are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.foundation.errors import UserError

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


Source = Annotated[
    str, typer.Argument(help="A file, a folder, or a hub data set id (hub:org/name).", show_default=False)
]
Run = Annotated[Path, typer.Option("--run", help="The run's folder; made when it is missing.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, all else on stderr.")]
Force = Annotated[bool, typer.Option("--force", help="Do it again even if nothing changed.")]
ReadAgain = Annotated[bool, typer.Option("--force", help="Read the source again; judgements are kept all the same.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print requests, tokens and dollars; ask nothing.")]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="A YAML file of training settings, in place of the recipe's.")
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="Any training setting, e.g. --set epochs=2.", metavar="KEY=VALUE")
]
Rubric = Annotated[
    Path | None,
    typer.Option("--rubric", help="A rubric file, or empathy or quality of the package; empathy by default."),
]


def show(record: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a result: as one JSON object if that was asked for, else in words."""
    if as_json:
        typer.echo(json.dumps(record, ensure_ascii=False))
    else:
        out.print(text, markup=False)


def pairs(items: list[str] | None, option: str) -> dict[str, str]:
    """NAME=VALUE items as a mapping."""
    found = dict(item.partition("=")[::2] for item in items or [])
    if bad := [item for item in items or [] if "=" not in item]:
        raise UserError(f"{option} takes NAME=VALUE, not {bad[0]!r}")
    return found


def stop(ending: str) -> None:
    """Exit as a program that was interrupted does, where it was."""
    if ending == "stopped":
        raise typer.Exit(INTERRUPTED)
