"""`efficient-empathy train`."""

from __future__ import annotations

from typing import Annotated

import typer

from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Force, Json, Run, err, show
from efficient_empathy.modelling.training.settings import TrainingSettings


def train(
    run: Run,
    subset: Annotated[
        str,
        typer.Option(
            help="One of the policy's subsets (sensibility, rationality, discard, both …), all, union (all but "
            "discard), or random.",
            show_default=False,
        ),
    ],
    settings: Annotated[TrainingSettings, Options(file="training settings")],
    name: Annotated[str | None, typer.Option(help="What the expert is called; as its subset by default.")] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Take so many samples by seeded hash; random: as many as the first subset."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train an expert on one subset of a selected run (extra `train`); the paper's settings by default.

    Example: efficient-empathy train --run runs/mine --subset sensibility --base meta-llama/Meta-Llama-3-8B-Instruct
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.training import summary
    from efficient_empathy.modelling.training import train as train_expert

    result = train_expert(Workspace(run), subset, settings, name=name, size=size, console=err, force=force)
    show(result, as_json, summary(result, run))
