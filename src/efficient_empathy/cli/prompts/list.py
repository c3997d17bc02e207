"""`efficient-empathy prompts list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, show


def list_(
    folder: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders to look through; runs, prompt-tests and prompt-comparisons by default.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every rubric by its hash: its axes, who was asked by it, how often, at what price, when and where.

    Looks at ledgers, manifests, results and rubric files in the folders, at the rubric files of the current folder, and
    at those of the package.

    Example: efficient-empathy prompts list

    Example: efficient-empathy prompts list runs old-runs --json
    """
    from efficient_empathy.prompts.listing import list_prompts, summary

    listed = list_prompts(folder)
    show(listed.as_json(), as_json, summary(listed))
