"""`efficient-empathy distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, Rubric, Run, err, show


def distill(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for the judge.", show_default=False)],
    base: Annotated[str | None, typer.Option(help="The pre-trained encoder: a folder or a hub name.")] = None,
    name: Annotated[str, typer.Option(help="What its judgements are signed with.")] = "distilled",
    rubric: Rubric = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.")] = 5,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of initialisation, order and folds.")] = 0,
    data: Annotated[str, typer.Option(help="For the card: where the judgements come from.")] = "",
    licence: Annotated[str, typer.Option(help="For the card.")] = "other",
    as_json: Json = False,
) -> None:
    """Make an embedded judge from a run's judgements (extra `train`).

    Example: efficient-empathy distill --run runs/gpt4o -o my-judge
    """
    from efficient_empathy.labelling.distillation import run_distill, summary

    result = run_distill(run, output, rubric, base=base, name=name, folds=folds, epochs=epochs, seed=seed, data=data,
                         licence=licence, console=err)  # fmt: skip
    show(result, as_json, summary(result, output))
