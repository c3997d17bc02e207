"""`efficient-empathy demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.shared import Json, err, show


def demo(
    run: Annotated[Path, typer.Option("--run", help="Where the demo's run goes.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Score, select and report the bundled dialogues, on the embedded judge: no key, no GPU, no network.

    Example: efficient-empathy demo
    """
    from efficient_empathy.demo import demo as run_demo

    result = run_demo(run, err)
    show(result, as_json, result["summary"])
