"""`inspect`, `score` and `replies`: what a source is, its scores, and what its judges said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from efficient_empathy.cli.options import (
    DryRun,
    Json,
    Options,
    ReadAgain,
    RunToScore,
    ShowPrompt,
    Source,
    err,
    show,
    stop,
)
from efficient_empathy.cluster.settings import ClusterSettings
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.registry import options_model
from efficient_empathy.scoring.replies import RepliesSettings
from efficient_empathy.scoring.settings import ScoreSettings


def score(
    source: Source,
    run: RunToScore,
    settings: ScoreSettings,
    batches: BatchSettings,
    machines: ClusterSettings,
    options: Annotated[dict[str, Any], Options(options_model())],
    reading: ReadingSettings,
    dry_run: DryRun = False,
    show_prompt: ShowPrompt = None,
    force: ReadAgain = False,
    as_json: Json = False,
) -> None:
    """Judge every sample of a source. Asks only for what the run's ledger does not hold yet.

    Example: efficient-empathy score dialogues.jsonl --run runs/mine

    Example: efficient-empathy score dialogues.jsonl --run runs/mine --judge openai --model gpt-4o-mini --max-cost 5

    Example: efficient-empathy score dialogues.jsonl --run runs/mine --judge openai:gpt-4o --judge anthropic:MODEL

    Example: efficient-empathy score dialogues.jsonl --run runs/mine --judge openai:gpt-4o --batch, at half the price

    Example: efficient-empathy score logs/ --run runs/logs --on ray, on all processors of a cluster

    Example: efficient-empathy score logs/ --run runs/logs --on ray://auto --judge vllm:org/name, on all of its GPUs
    """
    from efficient_empathy.cluster import open_engine
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.scoring.plan import plan, plan_text
    from efficient_empathy.scoring.preview import preview, preview_text
    from efficient_empathy.scoring.rubric import Rubric
    from efficient_empathy.scoring.stage import require_scores, summary
    from efficient_empathy.scoring.stage import score as run_score

    workspace, rubric = Workspace(run), Rubric.load(settings.rubric)
    if show_prompt:
        requests = preview(source, workspace, settings.judge, rubric, options, reading, count=show_prompt)
        show(requests, as_json, preview_text(requests))
        return
    if dry_run:
        estimate = plan(source, workspace, settings.judge, rubric, options, reading, in_batches=batches.batch)
        show(estimate, as_json, plan_text(estimate))
        return
    with open_engine(machines) as engine:
        result = run_score(
            source, workspace, settings.judge, rubric, options,
            pool=settings.pool or "median", batches=batches, engine=engine, reading=reading, console=err, force=force,
        )  # fmt: skip
    show(result, as_json, summary(result, run))
    stop(result.ending)
    require_scores(result, settings.max_failed)


def replies(
    run: Annotated[Path, typer.Argument(help="The folder of a scored run.", show_default=False)],
    settings: RepliesSettings,
    as_json: Json = False,
) -> None:
    """Show what a run's judges replied, each reply as it came, beside its sample. Asks nothing.

    Example: efficient-empathy replies runs/mine --state parse_error

    Example: efficient-empathy replies runs/mine --judge gpt-4o-mini --limit 0 --json > replies.json
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.scoring.replies import replies as read_replies
    from efficient_empathy.scoring.replies import summary

    result = read_replies(Workspace(run), settings)
    show(result, as_json, summary(result))


def inspect(source: Source, reading: InspectionSettings, as_json: Json = False) -> None:
    """Say what a source is: its format, counts, categories, bad rows, three samples.

    Example: efficient-empathy inspect dialogues.jsonl
    """
    from efficient_empathy.dialogues import inspect_source
    from efficient_empathy.dialogues.inspection import as_record, as_text

    inspection = inspect_source(source, reading)
    show(as_record(inspection), as_json, as_text(inspection))
