"""`efficient-empathy score`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.asking import (
    ApiKeyEnv,
    BaseUrl,
    Concurrency,
    MaxAttempts,
    MaxTokens,
    Model,
    Prices,
    Reply,
    ReplyForm,
    Temperature,
    Timeout,
)
from efficient_empathy.cli.cascading import (
    F1,
    Calibration,
    Check,
    Confidence,
    Error,
    Expert,
    Method,
    Promised,
    Refit,
    Subset,
)
from efficient_empathy.cli.lazy import INTERRUPTED
from efficient_empathy.cli.refreshing import (
    Alpha,
    Asked,
    Beta,
    Disagreement,
    Policy,
    Reach,
    Refresh,
    Rounds,
    Threshold,
    Uncertainty,
    With,
)
from efficient_empathy.cli.shared import (
    BadRows,
    Columns,
    DryRun,
    Format,
    Json,
    OnBadRow,
    Rubric,
    Run,
    columns_of,
    err,
    show,
)
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.redaction import redact

JUDGES = ("distilled", "openai", "replay")
CASCADE = "cascade"


class PoolName(StrEnum):
    """How several judgements of a sample become one score."""

    mean = "mean"
    median = "median"
    vote = "vote"
    first = "first"


def _judges(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name == CASCADE and len(names or ()) == 1:
            continue
        if name.partition(":")[0] not in JUDGES:
            forms = "distilled, distilled:FOLDER, openai:MODEL, openai:MODEL@URL, replay:FILE, or cascade by itself"
            raise typer.BadParameter(f"{redact(name)!r} names no judge: write {forms}")
    return names


def score(
    run: Run,
    source: Annotated[
        str | None,
        typer.Argument(help="A file, a folder, or a hub data set id (hub:org/name); none with --refresh."),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Who scores: distilled (the default), openai or replay; or in one word openai:MODEL, "
            "openai:MODEL@URL, distilled:FOLDER, replay:FILE. Given more than once, each of them judges every sample. "
            "cascade: the distilled judge answers where it is sure, --expert the rest, with a guarantee.",
            callback=_judges,
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        PoolName | None,
        typer.Option(
            help="How several judgements of a sample become one score: median by default, mean where one judge is "
            "asked again. first: of the first judge that has one."
        ),
    ] = None,
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
    expert: Expert = None,
    method: Method = None,
    error: Error = None,
    f1: F1 = None,
    subset: Subset = None,
    confidence: Confidence = None,
    calibration: Calibration = None,
    check: Check = None,
    refit: Refit = None,
    refresh: Refresh = None,
    by: With = None,
    rounds: Rounds = None,
    reach: Reach = None,
    disagreement: Disagreement = None,
    uncertainty: Uncertainty = None,
    policy: Policy = None,
    threshold: Threshold = None,
    alpha: Alpha = None,
    beta: Beta = None,
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

    Example: efficient-empathy score dialogues.jsonl --run runs/mine --judge cascade --model gpt-4o --error 0.05

    Example: efficient-empathy score --run runs/mine --refresh uncertain --with openai:gpt-4o --dry-run
    """
    from efficient_empathy.dialogues import Intake
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.scoring.judges.choice import JudgeOptions
    from efficient_empathy.scoring.judges.openai import Decoding
    from efficient_empathy.scoring.plan import plan, plan_text
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric
    from efficient_empathy.scoring.stage import score as run_score
    from efficient_empathy.scoring.stage import summary

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
    again = Asked(by, rounds, reach, disagreement, uncertainty, policy, threshold, alpha, beta)
    told: Any = pool.value if pool else None
    if refresh is not None:
        if source is not None or judge is not None:
            raise typer.BadParameter(
                "it judges what RUN holds: leave SOURCE out, and name another judge by --with", param_hint="--refresh"
            )
        stop(again.run(refresh, workspace, loaded, options, told, dry_run=dry_run, as_json=as_json))
        return
    if source is None:
        raise typer.BadParameter("what is to be scored?", param_hint="SOURCE")
    promised = Promised(expert, method and method.value, error, f1, subset, confidence, calibration, check, refit)
    reading: dict[str, Any] = {"format": format, "columns": columns_of(column), "on_bad_row": on_bad_row.value}
    if judge == [CASCADE]:
        replace(again, policy=None, threshold=None, alpha=None, beta=None).refuse()
        thresholds = {"policy": policy, "thresholds": again.thresholds()}
        reading["force"] = force
        stop(promised.run(source, workspace, loaded, options, thresholds, reading, dry_run=dry_run, as_json=as_json))
        return
    again.refuse()
    promised.refuse()
    judges = judge or ["distilled"]
    if told and len(judges) == 1:
        raise UserError("--pool is for several judgements of a sample: give --judge more than once, or --refresh")
    if dry_run:
        intake = Intake(on_bad_row.value)
        estimate = plan(
            source, workspace, judges, loaded, options, format=format, columns=reading["columns"], intake=intake
        )
        show(estimate, as_json, plan_text(estimate))
        return
    result = run_score(
        source, workspace, judges, loaded, options, pool=told or "median", console=err, force=force, **reading
    )
    show(result, as_json, summary(result, run))
    stop(result["ending"])


def stop(ending: str) -> None:
    """Exit as a program that was interrupted does, where it was."""
    if ending == "stopped":
        raise typer.Exit(INTERRUPTED)
