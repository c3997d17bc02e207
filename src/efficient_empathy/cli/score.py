"""`efficient-empathy score`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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


class ReplyForm(StrEnum):
    """How an LLM judge is asked to reply."""

    auto = "auto"
    json = "json"
    text = "text"


def score(
    source: Source,
    run: Run,
    judge: Annotated[JudgeName, typer.Option(help="Who scores.")] = JudgeName.distilled,
    model: Annotated[str | None, typer.Option(help="openai: the model's name.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="openai: the endpoint; $OPENAI_BASE_URL or https://api.openai.com/v1 by default.")
    ] = None,
    api_key_env: Annotated[
        str, typer.Option(help="openai: the environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    rubric: Rubric = None,
    reply: Annotated[
        ReplyForm, typer.Option(help="openai: by JSON schema, by text form, or whichever works.")
    ] = ReplyForm.auto,
    logprobs: Annotated[bool, typer.Option("--logprobs", help="openai: expected score over the score token.")] = False,
    temperature: Annotated[float, typer.Option(help="openai: of sampling.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="openai: room for a reply.", min=1)] = 100,
    concurrency: Annotated[int, typer.Option(help="openai: requests in flight at most.", min=1)] = 64,
    timeout: Annotated[float, typer.Option(help="openai: seconds for one request.", min=0.1)] = 60.0,
    max_attempts: Annotated[int, typer.Option(help="openai: tries per request, not counting 429s.", min=1)] = 5,
    max_cost: Annotated[
        float | None,
        typer.Option(help="openai: US dollars that this run's ledger may come to in all; never exceeded.", min=0),
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="openai: a prices file instead of the package's own.")] = None,
    replies: Annotated[
        Path | None,
        typer.Option(help="replay: judged JSON, ledger.sqlite or a run's folder; SOURCE itself by default."),
    ] = None,
    judge_model: Annotated[Path | None, typer.Option(help="distilled: a folder that `distill` made.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="openai: print requests, tokens and dollars; ask nothing.")
    ] = False,
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
