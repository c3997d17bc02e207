"""`efficient-empathy distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, Rubric, Run, err, show
from efficient_empathy.labelling.distillation.settings import DistillSettings


def distill(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for the judge.", show_default=False)],
    settings: DistillSettings,
    rubric: Rubric = None,
    as_json: Json = False,
) -> None:
    """Make an embedded judge from a run's judgements (extra `train`).

    Example: efficient-empathy distill --run runs/gpt4o -o my-judge
    """
    from efficient_empathy.labelling.distillation import run_distill, summary

    result = run_distill(run, output, rubric, settings, console=err)
    show(result, as_json, summary(result, output))
