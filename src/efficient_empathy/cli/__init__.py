"""The command line: parse, call, print. One file a command; heavy modules are imported when it runs."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from efficient_empathy.cli.agreement import agreement
from efficient_empathy.cli.analytics import analytics
from efficient_empathy.cli.compare_pairs import pairwise
from efficient_empathy.cli.demo import demo
from efficient_empathy.cli.distill import distill
from efficient_empathy.cli.evaluate import evaluate
from efficient_empathy.cli.fit_metric import fit_metric
from efficient_empathy.cli.generate import generate
from efficient_empathy.cli.inspect import inspect
from efficient_empathy.cli.mix import mix
from efficient_empathy.cli.predict import predict
from efficient_empathy.cli.prompts import prompts_app
from efficient_empathy.cli.ratings import ratings_app
from efficient_empathy.cli.report import report
from efficient_empathy.cli.run import run
from efficient_empathy.cli.score import INTERRUPTED, score
from efficient_empathy.cli.select import select
from efficient_empathy.cli.shared import err
from efficient_empathy.cli.studio import studio
from efficient_empathy.cli.sweep import sweep
from efficient_empathy.cli.train import train
from efficient_empathy.cli.tune import tune
from efficient_empathy.foundation.errors import UserError

app = typer.Typer(
    name="efficient-empathy",
    help="Turn dialogues into a better empathetic model, on the part of the data that makes one.\n\n"
    "Example: efficient-empathy demo\n\n"
    "Example: efficient-empathy score dialogues.jsonl --run runs/mine && efficient-empathy select --run runs/mine "
    "&& efficient-empathy report --run runs/mine",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A user's error is one sentence on stderr and exit status 1; an interrupt says that nothing is lost."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except UserError as error:
            err.print(f"Error: {error}", markup=False, style="bold red")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            err.print("Interrupted. Nothing that was finished is lost: the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None

    return run


COMMANDS = (
    demo, run, inspect, score, select, sweep, tune, train, mix, generate, evaluate, pairwise, report, distill,
    fit_metric, predict, agreement, analytics, studio,
)  # fmt: skip
for command in COMMANDS:
    app.command()(guarded(command))
app.add_typer(prompts_app(guarded), name="prompts")
app.add_typer(ratings_app(guarded), name="ratings")


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(version("efficient-empathy"))
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point."""
    app()
