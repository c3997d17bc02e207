"""`efficient-empathy fit-metric`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Json, err, show
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.evaluation.classifiers.kinds import KINDS, FitSettings


def _kind(name: str) -> str:
    if name not in KINDS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(KINDS)}")
    return name


def fit_metric(
    kind: Annotated[str, typer.Argument(help="The metric.", metavar="|".join(KINDS), parser=_kind, show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="epitome: a file with seeker_post, response_post, emotional_reactions, interpretations, explorations "
            "(0, 1 or 2). emotion: dialogues with a category, in any format that is read.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for it.", show_default=False)],
    settings: FitSettings,
    reading: Annotated[ReadingSettings, Options(without=("format",))],
    as_json: Json = False,
) -> None:
    """Fit the classifier of an empathy metric on labelled data of your own (extra `eval`).

    The folder holds weights that inherit the data's licence, and a card with cross-validated figures.

    Example: efficient-empathy fit-metric epitome epitome.jsonl -o metrics/epitome
    """
    from rich.progress import Progress

    from efficient_empathy.evaluation.classifiers.stage import fit_metric as run_fit

    with Progress(console=err, disable=not err.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def on_step(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
                if not err.is_terminal:
                    err.print(f"{what} …")
            progress.update(tasks[what], completed=done)

        result = run_fit(kind, data, output, settings, reading, on_step=on_step)
    show(result.model_dump(mode="json"), as_json, result.summary())
