"""`efficient-empathy run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Force, Json, err, pairs, show


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled one, such as demo.")],
    folder: Annotated[
        Path | None, typer.Option("--run", help="The run's folder; the recipe's, or runs/NAME, by default.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Set a key of the recipe, e.g. --set train.epochs=2.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a recipe: score, select, train, mix, generate, report. What is up to date is skipped.

    Example: efficient-empathy run recipes/demo.yaml --run runs/demo --set select.alpha=6
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.pipeline import run_recipe, summary
    from efficient_empathy.recipe import Recipe

    loaded = Recipe.load(recipe, pairs(changes, "--set"))
    result = run_recipe(loaded, Workspace(folder or loaded.folder), console=err, force=force)
    show(result, as_json, summary(result))
