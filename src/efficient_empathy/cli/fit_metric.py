"""`efficient-empathy fit-metric`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import BadRows, Columns, Json, OnBadRow, columns_of, err, show


class FittedKind(StrEnum):
    """The metrics whose classifier is fitted."""

    epitome = "epitome"
    emotion = "emotion"


def fit_metric(
    kind: Annotated[FittedKind, typer.Argument(help="The metric.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="epitome: a file with seeker_post, response_post, emotional_reactions, interpretations, explorations "
            "(0, 1 or 2). emotion: dialogues with a category, in any format that is read.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for it.", show_default=False)],
    folds: Annotated[int, typer.Option(help="Of the cross-validation.", min=2)] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds, and of what is drawn from much data.", min=0)] = 0,
    column: Columns = None,
    on_bad_row: OnBadRow = BadRows.fail,
    as_json: Json = False,
) -> None:
    """Fit the classifier of an empathy metric on labelled data of your own (extra `eval`).

    The folder holds weights that inherit the data's licence, and a card with cross-validated figures.

    Example: efficient-empathy fit-metric epitome epitome.jsonl -o metrics/epitome
    """
    from rich.progress import Progress

    from efficient_empathy.evaluation.classifiers import summary
    from efficient_empathy.evaluation.classifiers.stage import fit_metric as run_fit

    with Progress(console=err, disable=not err.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def on_step(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
                if not err.is_terminal:
                    err.print(f"{what} …")
            progress.update(tasks[what], completed=done)

        result = run_fit(kind.value, data, output, folds=folds, seed=seed, columns=columns_of(column),
                         on_bad_row=on_bad_row.value, on_step=on_step)  # fmt: skip
    show(result, as_json, summary(result))
