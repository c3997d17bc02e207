"""`efficient-empathy generate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.score import INTERRUPTED
from efficient_empathy.cli.shared import Columns, Force, Format, Json, columns_of, err, show
from efficient_empathy.foundation.errors import UserError


class Part(StrEnum):
    """The parts of a run's samples."""

    test = "test"
    held_out = "held_out"
    all = "all"


class Backend(StrEnum):
    """What runs a local model."""

    auto = "auto"
    transformers = "transformers"
    vllm = "vllm"


class Precision(StrEnum):
    """The type of a local model's numbers."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"


def generate(
    model: Annotated[
        str,
        typer.Option(
            help="base, one of the run's (sensibility, average, moe …), a model's folder, a name of the hub, or with "
            "--base-url the name that the endpoint gives it.",
            show_default=False,
        ),
    ],
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
    template: Annotated[
        str | None,
        typer.Option(
            help="chat, speaker_listener, empathetic_instruction or a file; by default what the model was trained "
            "with, else chat."
        ),
    ] = None,
    part: Annotated[
        Part | None, typer.Option(help="Of the run's samples; test by default, which is held_out without a test split.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Answer so many of them at most.", min=1)] = None,
    max_new_tokens: Annotated[int, typer.Option(help="The longest response.", min=1)] = 128,
    temperature: Annotated[float, typer.Option(help="Of sampling; 0 is greedy.", min=0)] = 0.0,
    top_p: Annotated[float, typer.Option(help="With a temperature: the nucleus.")] = 1.0,
    seed: Annotated[int, typer.Option(help="With a temperature: of the draws.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="local: prompts in one batch at most.", min=1)] = 128,
    batch_tokens: Annotated[int, typer.Option(help="local: room of the key-value cache, in tokens.", min=1)] = 65536,
    backend: Annotated[Backend, typer.Option(help="local: what runs the model.")] = Backend.auto,
    precision: Annotated[Precision, typer.Option(help="local: auto is bf16 on a GPU, else fp32.")] = Precision.auto,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="local: load pickled weights, which can run their maker's code.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="local: run code that comes with the model.")
    ] = False,
    base_url: Annotated[
        str | None, typer.Option(help="The OpenAI-compatible endpoint, such as http://localhost:8000/v1.")
    ] = None,
    api_key_env: Annotated[
        str, typer.Option(help="endpoint: the environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    concurrency: Annotated[int, typer.Option(help="endpoint: requests in flight at most.", min=1)] = 64,
    timeout: Annotated[float, typer.Option(help="endpoint: seconds for one request.", min=0.1)] = 120.0,
    max_attempts: Annotated[int, typer.Option(help="endpoint: tries per request, not counting 429s.", min=1)] = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(help="endpoint: US dollars that this model's responses may come to in all.", min=0),
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="endpoint: a prices file instead of the package's own.")] = None,
    format: Format = None,  # noqa: A002
    column: Columns = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Let a model respond to held-out contexts. Goes on where it was stopped; responses are kept as they come.

    Example: efficient-empathy generate --run runs/mine --model moe --samples 200

    Example: efficient-empathy generate --run runs/mine --model gpt-4o-mini --base-url https://api.openai.com/v1
    --template empathetic_instruction --max-cost 2
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.modelling.generation import EndpointOptions, GenerationSettings, summary
    from efficient_empathy.modelling.generation import generate as run_generate

    if not 0 < top_p <= 1:
        raise UserError(f"--top-p is {top_p:g}: it must be above 0 and at most 1")
    settings = GenerationSettings(
        template=template,
        part=part.value if part else None,
        samples=samples,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        batch_size=batch_size,
        batch_tokens=batch_tokens,
        backend=backend.value,
        precision=precision.value,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    endpoint = None
    if base_url:
        endpoint = EndpointOptions(base_url, api_key_env, concurrency, timeout, max_attempts, max_cost, prices)
    elif max_cost is not None or prices is not None:
        raise UserError("--max-cost and --prices are of an endpoint: give its --base-url too")
    reading: dict[str, Any] = {"format": format, "columns": columns_of(column)} if source else {}
    result = run_generate(
        Workspace(run) if run else None, model, settings,
        name=name, endpoint=endpoint, source=source, output=output, console=err, force=force, **reading,
    )  # fmt: skip
    show(result, as_json, summary(result))
    if result["ending"] == "stopped":
        raise typer.Exit(INTERRUPTED)
