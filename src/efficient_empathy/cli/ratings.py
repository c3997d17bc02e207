"""`efficient-empathy ratings sheets` and `efficient-empathy ratings read`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Json, Run, show
from efficient_empathy.evaluation.ratings.results import Resampling
from efficient_empathy.evaluation.ratings.settings import AnswerSettings, SheetSettings


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
    settings: SheetSettings,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The sheets' folder; the run's ratings/sheets by default.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite sheets, and put another key in place of the one that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a blinded sheet for each rater. The key stays in the run: never hand it out.

    Example: efficient-empathy ratings sheets --run runs/mine --models moe,base --raters ann,bo,cy -o sheets
    """
    from efficient_empathy.evaluation.ratings import make_sheets, sheets_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    rated = tuple(name.strip() for name in models.split(",") if name.strip())
    made = make_sheets(
        Workspace(run), rated, settings.design(len(rated)), output,
        samples=settings.samples, format=settings.format, force=force,
    )  # fmt: skip
    show(made.model_dump(mode="json"), as_json, sheets_summary(made))


def read(
    run: Run,
    sheet: Annotated[
        list[Path], typer.Argument(help="Filled-in sheets, XLSX or CSV, or folders of them.", show_default=False)
    ],
    settings: AnswerSettings,
    how: Annotated[Resampling, Options(without=("confidence",))],
    as_json: Json = False,
) -> None:
    """Read filled-in sheets: means, wins and losses, agreement, each rater's consistency, a ranking.

    Example: efficient-empathy ratings read --run runs/mine sheets/*.xlsx
    """
    from efficient_empathy.evaluation.ratings import read_sheets, results_summary
    from efficient_empathy.foundation.run.workspace import Workspace

    result = read_sheets(Workspace(run), sheet, on_missing=settings.on_missing, how=how)
    show(result.model_dump(mode="json"), as_json, results_summary(result))
