"""`run` and `demo`: the whole pipeline."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.options import Force, Json, err, pairs, show, takes_permissions


@takes_permissions
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

    loaded_recipe = Recipe.load(recipe, pairs(changes, "--set"), run=folder)
    result = run_recipe(loaded_recipe, Workspace(folder or loaded_recipe.folder), console=err, force=force)
    show(result, as_json, summary(result))


def demo(
    run: Annotated[Path, typer.Option("--run", help="Where the demo's run goes.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Go from the bundled dialogues to a compared mixture of experts, on the embedded parts: the recipe `demo`.

    No key, no GPU, no network. Without the extra `train` it stops after the selection and says so.

    Example: efficient-empathy demo
    """
    from importlib.util import find_spec

    from efficient_empathy.foundation.errors import missing_extra, shell
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.pipeline import run_recipe, summary
    from efficient_empathy.recipe import Recipe

    recipe = Recipe.load("demo")
    light = find_spec("trl") is None
    if light:
        recipe = recipe.model_copy(update=dict.fromkeys(("train", "mix", "generate", "evaluate")))
    result = run_recipe(recipe, Workspace(run), console=err)
    text = f"{summary(result)}\nLook at it: {_program()} studio {shell(run)}"
    show(result, as_json, text if light else f"{text}\n{_RATED.format(program=_program())}")
    if light:
        err.print(f"Not trained: {missing_extra('the second half of the demo', 'train')}")


_RATED = (  # no ratings may be shipped, nor what was learnt from them
    "Measure empathy as raters see it: {program} fit-metric epitome RATINGS.jsonl -o metrics/epitome "
    "(docs/fitted-metrics.md)"
)


def _program() -> str:
    """This program as it can be typed again: by its name if that is found, else by the path that was typed."""
    name = Path(sys.argv[0]).name
    return name if shutil.which(name) else sys.argv[0]
