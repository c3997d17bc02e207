"""`efficient-empathy predict`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efficient_empathy.cli.shared import Json, err, show
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.labelling.prediction.predictor import PredictionSettings

if TYPE_CHECKING:
    from efficient_empathy.labelling.prediction.predictor import Predictor
    from efficient_empathy.labelling.prediction.stage import Prediction

DRIFTED = 3


def predict(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, a folder, a hub data set id (hub:org/name), or - for one JSON conversation a line on stdin.",
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
        done = _stream(predictor, reading, lines=streams, keep=output is not None)
    else:
        with err.status("Judging …") as status:
            done = predict(
                source, predictor,
                format=reading.format, columns=reading.columns or None, on_bad_row=reading.on_bad_row,
                on_progress=lambda samples: status.update(f"Judging … {samples:,} samples"),
            )  # fmt: skip
    if output is not None:
        write(done.per(settings.per), output)
    result = {**done.result, "output": str(output) if output else None, "per": settings.per}
    if streams:
        err.print(summary(result), markup=False)
    else:
        show(result, as_json, summary(result))
    if fail_on_drift and done.drift["verdict"] == "alarm":
        raise typer.Exit(DRIFTED)


def _stream(predictor: Predictor, how: ReadingSettings, *, lines: bool, keep: bool) -> Prediction:
    """Answer stdin line by line; with `lines` on stdout, at once."""
    from efficient_empathy.dialogues import Intake
    from efficient_empathy.labelling.prediction.stage import Collected
    from efficient_empathy.labelling.prediction.stream import Reading, answers

    reading = Reading(how.format, how.columns or None, Intake(how.on_bad_row))
    started, collected = time.perf_counter(), Collected(predictor, frames=keep or not lines)
    for answer in answers(sys.stdin.buffer, predictor, collected, reading):
        if lines:
            typer.echo(json.dumps(answer, ensure_ascii=False))
    return collected.prediction(time.perf_counter() - started, reading.intake)
