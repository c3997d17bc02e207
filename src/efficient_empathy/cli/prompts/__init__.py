"""`efficient-empathy prompts`: golden sets, tests of rubrics and judges, comparisons, and what was used where."""

from __future__ import annotations

from collections.abc import Callable

import typer

from efficient_empathy.cli.prompts.compare import compare
from efficient_empathy.cli.prompts.golden import golden
from efficient_empathy.cli.prompts.list import list_
from efficient_empathy.cli.prompts.test import golden_test


def prompts_app(guarded: Callable[[Callable[..., None]], Callable[..., None]]) -> typer.Typer:
    """The sub-commands, each `guarded` as the other commands are."""
    app = typer.Typer(help="Test and compare rubrics and judges before they score a data set.", no_args_is_help=True)
    commands: dict[str, Callable[..., None]] = {
        "golden": golden,
        "test": golden_test,
        "compare": compare,
        "list": list_,
    }
    for name, command in commands.items():
        app.command(name)(guarded(command))
    return app
