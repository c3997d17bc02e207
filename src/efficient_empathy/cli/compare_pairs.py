"""`efficient-empathy pairwise`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from efficient_empathy.cli.asking import (
    ApiKeyEnv,
    BaseUrl,
    Concurrency,
    DryRun,
    MaxAttempts,
    MaxTokens,
    Model,
    Prices,
    Reply,
    ReplyForm,
    Temperature,
    Timeout,
)
from efficient_empathy.cli.score import INTERRUPTED
from efficient_empathy.cli.shared import Json, err, show


class PairJudge(StrEnum):
    """The judges that can compare two responses."""

    openai = "openai"
    replay = "replay"


def pairwise(
    run: Annotated[Path, typer.Option("--run", help="The run whose models are compared.", show_default=False)],
    a: Annotated[str, typer.Option("--a", help="A model of the run's generations, or reference.", show_default=False)],
    b: Annotated[str, typer.Option("--b", help="Another one, such as the baseline.", show_default=False)],
    judge: Annotated[PairJudge, typer.Option(help="Who compares.")] = PairJudge.openai,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    rubric: Annotated[Path | None, typer.Option(help="A pairwise rubric's file; the package's own by default.")] = None,
    reply: Reply = ReplyForm.auto,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 100,
    concurrency: Concurrency = 64,
    timeout: Timeout = 60.0,
    max_attempts: MaxAttempts = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(
            help="openai: US dollars that the judging of this run's responses may come to in all; never exceeded.",
            min=0,
        ),
    ] = None,
    prices: Prices = None,
    replies: Annotated[
        Path | None, typer.Option(help="replay: the evaluation folder of another run, or its ledger.sqlite.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Compare so many samples at most.", min=1)] = None,
    resamples: Annotated[int, typer.Option(help="Of the bootstrap, over dialogues.", min=100)] = 1000,
    confidence: Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let an LLM judge say which of two models' responses is better, in both orders. Goes on where it was stopped.

    Example: efficient-empathy pairwise --run runs/mine --a moe --b base --model gpt-4o-mini --samples 200 --max-cost 1

    Example: efficient-empathy pairwise --run runs/mine --a moe --b reference --model qwen --base-url
    http://localhost:8000/v1
    """
    from efficient_empathy.evaluation.pairwise import PairRubric, plan_pairwise, summary
    from efficient_empathy.evaluation.pairwise import pairwise as run_pairwise
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.scoring.judges.choice import JudgeOptions
    from efficient_empathy.scoring.judges.openai import Decoding
    from efficient_empathy.scoring.plan import plan_text

    workspace, loaded = Workspace(run), PairRubric.load(rubric)
    options = JudgeOptions(
        model=model,
        base_url=base_url,
        api_key_env=api_key_env,
        decoding=Decoding(reply.value, temperature, max_tokens),
        concurrency=concurrency,
        timeout_s=timeout,
        max_attempts=max_attempts,
        max_cost=max_cost,
        prices=prices,
        replies=replies,
    )
    if dry_run:
        estimate = plan_pairwise(workspace, a, b, judge.value, loaded, options, samples=samples)
        show(estimate, as_json, plan_text(estimate))
        return
    result = run_pairwise(
        workspace, a, b, judge.value, loaded, options,
        samples=samples, resamples=resamples, confidence=confidence, seed=seed, console=err,
    )  # fmt: skip
    show(result, as_json, summary(result))
    if result["ending"] == "stopped":
        raise typer.Exit(INTERRUPTED)
