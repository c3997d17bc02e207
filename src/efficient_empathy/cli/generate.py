"""`efficient-empathy generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.options import Options
from efficient_empathy.cli.shared import Force, Json, err, show
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings


def generate(
    model: Annotated[
        str,
        typer.Option(
            help="base, one of the run's (sensibility, average, moe …), a model's folder, a name of the hub, or with "
            "--base-url the name that the endpoint gives it.",
            show_default=False,
        ),
    ],
    settings: GenerationSettings,
    endpoint: EndpointOptions | None,
    reading: Annotated[ReadingSettings, Options(without=("on_bad_row",))],
    run: Annotated[
        Path | None, typer.Option("--run", help="The run whose samples are answered.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Answer a file, a folder or a hub data set instead of a run; needs -o.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With --source: FILE.parquet for the responses.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the responses are kept under; the model's name by default.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Let a model respond to held-out contexts. Goes on where it was stopped; responses are kept as they come.

    Example: efficient-empathy generate --run runs/mine --model moe --samples 200

    Example: efficient-empathy generate --run runs/mine --model gpt-4o-mini --base-url https://api.openai.com/v1
    --template empathetic_instruction --max-cost 2
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.generation import generate as run_generate
    from efficient_empathy.modelling.generation import summary

    how: dict[str, Any] = {"format": reading.format, "columns": reading.columns or None} if source else {}
    result = run_generate(
        Workspace(run) if run else None, model, settings,
        name=name, endpoint=endpoint, source=source, output=output, console=err, force=force, **how,
    )  # fmt: skip
    show(result, as_json, summary(result))
    if result["ending"] == "stopped":
        raise typer.Exit(INTERRUPTED)
