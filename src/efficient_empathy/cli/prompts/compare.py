"""`efficient-empathy prompts compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.asking import (
    ApiKeyEnv,
    Concurrency,
    DryRun,
    MaxAttempts,
    MaxTokens,
    Prices,
    Reply,
    ReplyForm,
    Temperature,
    Timeout,
)
from efficient_empathy.cli.score import INTERRUPTED
from efficient_empathy.cli.shared import Json, err, show

SIDE = (
    "A rubric (a YAML file, empathy or quality), a judge (openai:MODEL@URL, distilled …), a scored run's folder, or a "
    "result of `prompts test`."
)


def compare(
    a: Annotated[str, typer.Argument(help=SIDE, show_default=False)],
    b: Annotated[str, typer.Argument(help="Another one.", show_default=False)],
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Who rubrics are asked of: distilled, distilled:FOLDER, openai:MODEL, openai:MODEL@URL or "
            "replay:FILE; twice, the first for A and the second for B."
        ),
    ] = None,
    rubric: Annotated[
        str | None,
        typer.Option(help="What judges are asked by: a rubric file, empathy or quality; empathy by default."),
    ] = None,
    golden: Annotated[
        str | None, typer.Option(help="Judge a golden set: its folder, or bundled, which is the default.")
    ] = None,
    samples: Annotated[
        str | None, typer.Option(help="Judge a source instead: a file, a folder, or a hub data set.", metavar="SOURCE")
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", help="So many samples at most; 200 by default, all of a golden set.", min=1)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The folder for ledger and page; prompt-comparisons/A-vs-B by default."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="paper, exclusive or both; that of the run's selection, or paper, by default.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Threshold of sensibility, likewise, or 5.")] = None,
    beta: Annotated[float | None, typer.Option(help="Threshold of rationality, likewise, or 5.")] = None,
    shown: Annotated[int, typer.Option("--show", help="Show so many of the samples that differ.", min=0)] = 20,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    reply: Reply = ReplyForm.auto,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 100,
    concurrency: Concurrency = 64,
    timeout: Timeout = 60.0,
    max_attempts: MaxAttempts = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(help="openai: US dollars that this folder's ledger may come to in all; never exceeded.", min=0),
    ] = None,
    prices: Prices = None,
    draws: Annotated[int, typer.Option(help="Of the bootstrap over dialogues; 0 for no intervals.", min=0)] = 1000,
    seed: Annotated[int, typer.Option(help="Of the samples drawn, and of the bootstrap.", min=0)] = 0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put two rubrics, two judges or two runs side by side: agreement, subsets, cost, prompts, samples that differ.

    Two rubrics, one judge: efficient-empathy prompts compare empathy stricter.yaml --judge openai:gpt-4o-mini
    --max-cost 1

    Two judges, one rubric: efficient-empathy prompts compare openai:gpt-4o-mini openai:qwen@http://localhost:8000/v1
    --samples dialogues.jsonl -n 300

    Two scored runs of the same samples, asking nobody: efficient-empathy prompts compare runs/chatgpt runs/distilled

    A run and a new rubric, on the run's samples: efficient-empathy prompts compare runs/mine stricter.yaml --judge
    openai:gpt-4o-mini -n 200
    """
    from efficient_empathy.prompts.compare.stage import Compared, plan_compare
    from efficient_empathy.prompts.compare.stage import compare as run_compare
    from efficient_empathy.prompts.compare.words import summary
    from efficient_empathy.scoring.judges.choice import JudgeOptions
    from efficient_empathy.scoring.judges.openai import Decoding
    from efficient_empathy.scoring.plan import plan_text

    compared = Compared(
        a, b, tuple(judge or ()), rubric, golden, samples, n, policy, alpha, beta, shown=shown, draws=draws, seed=seed
    )
    options = JudgeOptions(
        api_key_env=api_key_env,
        decoding=Decoding(reply.value, temperature, max_tokens),
        concurrency=concurrency,
        timeout_s=timeout,
        max_attempts=max_attempts,
        max_cost=max_cost,
        prices=prices,
    )
    if dry_run:
        plan = plan_compare(compared, output, options)
        show(plan, as_json, plan_text(plan))
        return
    result = run_compare(compared, output, options, console=err)
    show(result, as_json, summary(result))
    if result["ending"] == "stopped":
        raise typer.Exit(INTERRUPTED)
