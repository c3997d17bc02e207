"""`efficient-empathy score`."""

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
from efficient_empathy.cli.shared import (
    BadRows,
    Columns,
    Format,
    Json,
    OnBadRow,
    Rubric,
    Run,
    Source,
    columns_of,
    err,
    show,
)  # fmt: skip

INTERRUPTED = 130


class JudgeName(StrEnum):
    """The judges that `score` offers."""

    distilled = "distilled"
    openai = "openai"
    replay = "replay"


def score(
    source: Source,
    run: Run,
    judge: Annotated[JudgeName, typer.Option(help="Who scores.")] = JudgeName.distilled,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = "OPENAI_API_KEY",
    rubric: Rubric = None,
    reply: Reply = ReplyForm.auto,
    logprobs: Annotated[bool, typer.Option("--logprobs", help="openai: expected score over the score token.")] = False,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 100,
    concurrency: Concurrency = 64,
    timeout: Timeout = 60.0,
    max_attempts: MaxAttempts = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(help="openai: US dollars that this run's ledger may come to in all; never exceeded.", min=0),
    ] = None,
    prices: Prices = None,
    replies: Annotated[
        Path | None,
        typer.Option(help="replay: judged JSON, ledger.sqlite or a run's folder; SOURCE itself by default."),
    ] = None,
    judge_model: Annotated[Path | None, typer.Option(help="distilled: a folder that `distill` made.")] = None,
    dry_run: DryRun = False,
    format: Format = None,  # noqa: A002
    column: Columns = None,
    on_bad_row: OnBadRow = BadRows.fail,
    force: Annotated[
        bool, typer.Option("--force", help="Read the source again; judgements are kept all the same.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge every sample of a source. Asks only for what the run's ledger does not hold yet.

    Example: efficient-empathy score dialogues.jsonl --run runs/mine --judge openai --model gpt-4o-mini --max-cost 5
    """
    from efficient_empathy.dialogues import Intake
    from efficient_empathy.scoring.choice import JudgeOptions
    from efficient_empathy.scoring.openai import Decoding
    from efficient_empathy.scoring.plan import plan, plan_text
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric
    from efficient_empathy.scoring.stage import score as run_score
    from efficient_empathy.scoring.stage import summary
    from efficient_empathy.workspace import Workspace

    workspace, loaded = Workspace(run), LoadedRubric.load(rubric)
    options = JudgeOptions(
        model=model,
        base_url=base_url,
        api_key_env=api_key_env,
        decoding=Decoding(reply.value, temperature, max_tokens, logprobs),
        concurrency=concurrency,
        timeout_s=timeout,
        max_attempts=max_attempts,
        max_cost=max_cost,
        prices=prices,
        replies=replies,
        folder=judge_model,
    )
    if dry_run:
        intake = Intake(on_bad_row.value)
        estimate = plan(
            source, workspace, judge.value, loaded, options, format=format, columns=columns_of(column), intake=intake
        )
        show(estimate, as_json, plan_text(estimate))
        return
    result = run_score(
        source, workspace, judge.value, loaded, options, console=err,
        format=format, columns=columns_of(column), on_bad_row=on_bad_row.value, force=force,
    )  # fmt: skip
    show(result, as_json, summary(result, run))
    if result["ending"] == "stopped":
        raise typer.Exit(INTERRUPTED)
