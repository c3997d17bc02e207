"""`efficient-empathy ratings`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, show
from efficient_empathy.foundation.errors import UserError

Run = Annotated[Path, typer.Option("--run", help="The run's folder.", show_default=False)]


class Format(StrEnum):
    """The files that raters get."""

    xlsx = "xlsx"
    csv = "csv"


class OnMissing(StrEnum):
    """What to do where an answer is missing."""

    skip = "skip"
    fail = "fail"


def ratings_app(guarded: Callable[[Callable[..., None]], Callable[..., None]]) -> typer.Typer:
    """The sub-commands, each `guarded` as the other commands are."""
    app = typer.Typer(help="Let people rate responses: blinded sheets out, answers in.", no_args_is_help=True)
    for command in (sheets, read):
        app.command()(guarded(command))
    return app


def sheets(
    run: Run,
    models: Annotated[
        str,
        typer.Option(
            help="Of whom responses are rated, e.g. moe,base: names in the run's generations; reference is the "
            "samples' own response.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The sheets' folder; the run's ratings/sheets by default.")
    ] = None,
    raters: Annotated[str, typer.Option(help="How many raters, or their names: ann,bo,cy.")] = "3",
    samples: Annotated[int, typer.Option(help="Rate so many samples at most.", min=1)] = 50,
    likert: Annotated[bool, typer.Option(help="Ask for ratings 1–5 in four dimensions.")] = True,
    ab: Annotated[
        bool | None, typer.Option(help="Ask which of two responses is better; so it is with two models or more.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="A/B: compare all with this model alone; by default every two.")
    ] = None,
    by_dimension: Annotated[
        bool, typer.Option("--by-dimension", help="A/B: ask for each of the four dimensions instead of once.")
    ] = False,
    repeats: Annotated[
        float, typer.Option(help="The share of items that a rater gets twice, at least one unless 0.", min=0, max=1)
    ] = 0.05,
    seed: Annotated[int, typer.Option(help="Of samples, orders, sides and repeats.", min=0)] = 0,
    format: Annotated[Format, typer.Option(help="The files that raters get.")] = Format.xlsx,  # noqa: A002
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite sheets, and put another key in place of the one that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a blinded sheet for each rater. The key stays in the run: never hand it out.

    Example: efficient-empathy ratings sheets --run runs/mine --models moe,base --raters ann,bo,cy -o sheets
    """
    from efficient_empathy.evaluation.ratings import Design, make_sheets, sheets_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    rated = _names(models)
    asked = {"likert": likert, "ab": len(rated) > 1 if ab is None else ab}
    tasks = tuple(task for task, wanted in asked.items() if wanted)
    if not rated or not tasks:
        raise UserError("nothing is asked: name --models, two for --no-likert, and leave --likert or --ab")
    names = tuple(f"rater-{i + 1}" for i in range(int(raters))) if raters.isdecimal() else _names(raters)
    if not names:
        raise UserError("--raters is 0: name at least one rater")
    design = Design(names, tasks, against, by_dimension, repeats, seed)  # type: ignore[arg-type]
    made = make_sheets(Workspace(run), rated, design, output, samples=samples, format=format.value, force=force)
    show(made, as_json, sheets_summary(made))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read(
    run: Run,
    sheet: Annotated[
        list[Path], typer.Argument(help="Filled-in sheets, XLSX or CSV, or folders of them.", show_default=False)
    ],
    on_missing: Annotated[
        OnMissing, typer.Option(help="Count answers that are missing and go on, or stop at the first.")
    ] = OnMissing.skip,
    resamples: Annotated[int, typer.Option(help="Draws of dialogues behind the intervals; 0 for none.", min=0)] = 1000,
    seed: Annotated[int, typer.Option(help="Of those draws.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Read filled-in sheets: means, wins and losses, agreement, each rater's consistency, a ranking.

    Example: efficient-empathy ratings read --run runs/mine sheets/*.xlsx
    """
    from efficient_empathy.evaluation.ratings import Resampling, read_sheets, results_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    found = read_sheets(Workspace(run), sheet, on_missing=on_missing.value, how=Resampling(resamples, seed))
    show(found, as_json, results_summary(found))
