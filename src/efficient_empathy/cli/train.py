"""`efficient-empathy train`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Force, Json, Run, err, pairs, show


class Method(StrEnum):
    """What is trained."""

    lora = "lora"
    full = "full"


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
    base: Annotated[str | None, typer.Option(help="A folder or a hub name; the bundled tiny base by default.")] = None,
    name: Annotated[str | None, typer.Option(help="What the expert is called; as its subset by default.")] = None,
    method: Annotated[Method | None, typer.Option(help="An adapter (default), or every parameter.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The peak; 1e-4 by default.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data; 1 by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples a step, over all processes; 16 by default.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens of a sample; 512 by default.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Take so many samples by seeded hash; random takes as many as sensibility has.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of order, new weights and held-out dialogues; 0 by default.")
    ] = None,
    mlp_only: Annotated[bool, typer.Option("--mlp-only", help="Train the feed-forward blocks alone.")] = False,
    processes: Annotated[int | None, typer.Option(help="One a GPU by default.")] = None,
    report_to: Annotated[str | None, typer.Option(help="Trackers, such as tensorboard or wandb.")] = None,
    settings: Annotated[Path | None, typer.Option(help="A YAML file of training settings.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, e.g. --set lora.r=16. See docs/training.md.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train an expert on one subset of a selected run (extra `train`); the paper's settings by default.

    Example: efficient-empathy train --run runs/mine --subset sensibility --base meta-llama/Meta-Llama-3-8B-Instruct
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.training import load_settings, summary
    from efficient_empathy.modelling.training import train as train_expert

    given = {
        "base": base, "method": method and method.value, "learning_rate": learning_rate, "epochs": epochs,
        "batch_size": batch_size, "max_length": max_length, "seed": seed, "mlp_only": mlp_only or None,
        "processes": processes, "report_to": report_to,
    }  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None} | pairs(change, "--set")
    result = train_expert(
        Workspace(run), subset, load_settings(settings, changes), name=name, size=size, console=err, force=force
    )
    show(result, as_json, summary(result, run))
