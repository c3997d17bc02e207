"""`cascade`, `refresh`, `distill`, `predict`: labels beyond one judge's word."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from efficient_empathy.cli.options import (
    DryRun,
    Json,
    Options,
    ReadAgain,
    Rubric,
    Run,
    RunToScore,
    Source,
    err,
    show,
    stop,
    takes_permissions,
)
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.terminal import json_text
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.distillation.settings import DistillSettings
from efficient_empathy.labelling.prediction.predictor import PredictionSettings
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.registry import options_model

if TYPE_CHECKING:
    from efficient_empathy.labelling.prediction.predictor import Predictor
    from efficient_empathy.labelling.prediction.stage import Prediction


def cascade(
    source: Source,
    run: RunToScore,
    settings: CascadeSettings,
    batches: BatchSettings,
    options: Annotated[dict[str, Any], Options(options_model())],
    reading: ReadingSettings,
    rubric: Rubric = None,
    dry_run: DryRun = False,
    force: ReadAgain = False,
    as_json: Json = False,
) -> None:
    """Score with the distilled judge where it is sure and an expert elsewhere, with a guarantee on the labels.

    Example: efficient-empathy cascade dialogues.jsonl --run runs/mine --model gpt-4o --error 0.05 --dry-run

    Example: efficient-empathy cascade dialogues.jsonl --run runs/mine --expert anthropic:MODEL --max-cost 20

    Example: efficient-empathy cascade FILE --run runs/mine --step distilled --step openai:gpt-4o-mini --model gpt-4o
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.cascade.record import CascadeRecord, summary
    from efficient_empathy.labelling.cascade.stage import CASCADE
    from efficient_empathy.labelling.cascade.stage import cascade as run_cascade
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric
    from efficient_empathy.scoring.stage import require_scores

    workspace, loaded_rubric = Workspace(run), LoadedRubric.load(rubric)
    result = run_cascade(
        source,
        workspace,
        settings,
        loaded_rubric,
        options,
        dry_run=dry_run,
        batches=batches,
        console=err,
        reading=reading,
        force=force,
    )
    if isinstance(result, CascadeRecord):
        content = {"dry_run": True, "judge": CASCADE, **result.model_dump(mode="json")}
        show(content, as_json, "Dry run: nothing was asked of the expert.")
        return
    show(result, as_json, summary(result, run))
    stop(result.ending)
    require_scores(result)


@takes_permissions
def refresh(
    run: Run,
    settings: RefreshSettings,
    options: Annotated[dict[str, Any], Options(options_model())],
    rubric: Rubric = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Judge samples of a scored run again where a score is uncertain, and pool what was said.

    Example: efficient-empathy refresh --run runs/mine --dry-run

    Example: efficient-empathy refresh --run runs/mine --which uncertain --judge openai:gpt-4o --max-cost 5
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.labelling.refresh.record import plan_text, summary
    from efficient_empathy.labelling.refresh.stage import plan_refresh
    from efficient_empathy.labelling.refresh.stage import refresh as run_refresh
    from efficient_empathy.scoring.rubric import Rubric as LoadedRubric

    workspace, loaded_rubric = Workspace(run), LoadedRubric.load(rubric)
    if dry_run:
        plan = plan_refresh(workspace, settings, loaded_rubric, options)
        show(plan, as_json, plan_text(plan))
        return
    result = run_refresh(workspace, settings, loaded_rubric, options, console=err)
    show(result, as_json, summary(result, run))
    stop(result.ending)


def distill(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder for the judge.", show_default=False)],
    settings: DistillSettings,
    rubric: Rubric = None,
    as_json: Json = False,
) -> None:
    """Make an embedded judge from a run's judgements (extra `train`).

    Example: efficient-empathy distill --run runs/gpt4o -o my-judge

    Example: efficient-empathy distill --run runs/gpt4o -o my-judge --unlabelled more.jsonl
    --teacher-model sentence-transformers/all-mpnet-base-v2
    """
    from efficient_empathy.labelling.distillation import run_distill, summary

    result = run_distill(run, output, rubric, settings, console=err)
    show(result, as_json, summary(result, output))


DRIFTED = 3


def predict(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, a folder, a URL, a hub data set id (hub:org/name), or - for one JSON conversation a line of "
            "stdin.",
            show_default=False,
        ),
    ],
    settings: PredictionSettings,
    reading: ReadingSettings,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the figures: FILE.jsonl, FILE.csv or FILE.parquet.")
    ] = None,
    fail_on_drift: Annotated[
        bool,
        typer.Option("--fail-on-drift", help="Exit with 3 where inputs are unlike what the judge learnt from."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Predict how good conversations are with the distilled judge: no run, no key, and nothing written unless asked.

    It works in one process; on a cluster `score --on ray` gives the same scores and probabilities, in a run.

    Example: efficient-empathy predict dialogues.jsonl -o figures.csv

    Example: tail -f chats.jsonl | efficient-empathy predict -
    """
    from efficient_empathy.labelling.prediction.predictor import Predictor
    from efficient_empathy.labelling.prediction.stage import check_output, predict, require_reference, write
    from efficient_empathy.labelling.prediction.words import summary

    if output is not None:
        check_output(output)
    predictor = Predictor(settings)
    if fail_on_drift:
        require_reference(predictor)
    streams = source == "-" and not as_json
    if source == "-":
        prediction = _stream(predictor, reading, lines=streams, keep=output is not None)
    else:
        with err.status("Judging …") as status:
            prediction = predict(
                source, predictor, reading,
                on_progress=lambda samples: status.update(f"Judging … {samples:,} samples"),
            )  # fmt: skip
    if output is not None:
        write(prediction.per(settings.per), output)
    result = {**prediction.result, "output": str(output) if output else None, "per": settings.per}
    if streams:
        err.print(summary(result))
    else:
        show(result, as_json, summary(result))
    if fail_on_drift and prediction.drift["verdict"] == "alarm":
        raise typer.Exit(DRIFTED)


def _stream(predictor: Predictor, how: ReadingSettings, *, lines: bool, keep: bool) -> Prediction:
    """Answer stdin line by line; with `lines` on stdout, at once."""
    from efficient_empathy.dialogues import Intake
    from efficient_empathy.labelling.prediction.stage import Collection
    from efficient_empathy.labelling.prediction.stream import Reading, answers

    reading = Reading(Intake(how))
    start, collection = time.perf_counter(), Collection(predictor, frames=keep or not lines)
    for answer in answers(sys.stdin.buffer, predictor, collection, reading):
        if lines:
            typer.echo(json_text(answer))
    return collection.prediction(time.perf_counter() - start, reading.intake)
