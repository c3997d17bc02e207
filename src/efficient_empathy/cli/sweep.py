"""`efficient-empathy sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, Run, err, pairs, show
from efficient_empathy.foundation.errors import UserError


def sweep(
    run: Run,
    alphas: Annotated[
        str, typer.Option(help="Thresholds of sensibility: 3:7, 3:7:0.5, or 3,5,7.", metavar="RANGE")
    ] = "3:7",
    betas: Annotated[str, typer.Option(help="Thresholds of rationality.", metavar="RANGE")] = "3:7",
    policies: Annotated[
        str, typer.Option(help="Any of paper, exclusive, both, comma-separated; the first at α 5, β 5 is the default.")
    ] = "paper",
    decide: Annotated[
        str | None, typer.Option(help="On auto, scores or probabilities; as in the run's selection by default.")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train and measure a model on every cell, and baselines (extra train).")
    ] = False,
    subset: Annotated[
        str | None, typer.Option(help="With --train: the subset trained on, or union; sensibility by default.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="With --train: random baselines of each kind; 3 by default.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="With --train: every model also answers the test samples, measured by e.g. official,texts."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="With --train: as in the run's recipe, else the bundled base.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="With --metrics: how many test samples are answered.")] = None,
    epitome: Annotated[
        Path | None, typer.Option(help="With --metrics epitome: its fitted classifiers' folder.")
    ] = None,
    emotion: Annotated[
        Path | None, typer.Option(help="With --metrics emotion: its fitted classifier's folder.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="With --train: a YAML file of training settings, in place of the recipe's.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="With --train: any training setting, e.g. --set epochs=2.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="With --train: keep the weights of every model.")] = False,
    seed: Annotated[int, typer.Option(help="Breaks ties, and draws dialogues for intervals.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Move the thresholds over a grid: sizes, shares by category, overlap; with --train, models on every cell.

    Example: efficient-empathy sweep --run runs/mine --alphas 3:7 --betas 3:7
    """
    from efficient_empathy.evaluation.robustness import SweepSettings
    from efficient_empathy.evaluation.robustness import sweep as run_sweep
    from efficient_empathy.evaluation.robustness.grid import thresholds
    from efficient_empathy.evaluation.robustness.settings import generation_settings, training_settings
    from efficient_empathy.evaluation.robustness.words import summary
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.foundation.settings import load

    for_training = {
        "--subset": subset, "--seeds": seeds, "--metrics": metrics, "--base": base,
        "--settings": settings, "--set": change or None, "--keep": keep or None,
    }  # fmt: skip
    if idle := [name for name, value in for_training.items() if value is not None and not train]:
        raise UserError(f"{', '.join(idle)} needs --train: without it nothing is trained")
    for_answers = {"--samples": samples, "--epitome": epitome, "--emotion": emotion}
    if idle := [name for name, value in for_answers.items() if value is not None and metrics is None]:
        raise UserError(f"{', '.join(idle)} needs --metrics: without them no model answers")
    given: dict[str, Any] = {
        "alphas": thresholds(alphas), "betas": thresholds(betas), "policies": _names(policies),
        "decide": decide, "train": train, "subset": subset, "seeds": seeds, "metrics": metrics and _names(metrics),
        "epitome": epitome and str(epitome), "emotion": emotion and str(emotion), "keep": keep, "seed": seed,
    }  # fmt: skip
    chosen = load(SweepSettings, None, "the sweep", {k: v for k, v in given.items() if v is not None})
    workspace = Workspace(run)
    training = generation = None
    if train:
        training = training_settings(workspace, settings, ({"base": base} if base else {}) | pairs(change, "--set"))
    if metrics:
        generation = generation_settings(workspace, {"samples": samples} if samples else None)
    result = run_sweep(workspace, chosen, training, generation, console=err, force=force)
    show(result, as_json, summary(result, run))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
