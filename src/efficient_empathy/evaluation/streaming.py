"""One system's figures from files of any length: rows are counted as they come and never held together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.comparing import described, number
from efficient_empathy.evaluation.metric import Metric, Streaming
from efficient_empathy.evaluation.pairs import OUTPUTS, PREDICTIONS, REFERENCES_ALONE, Reader

_AT_ONCE = 20_000


class NotInStepError(Exception):
    """The files need to be read whole: dialogues or several systems in them, or rows in different orders."""


def stream(name: str, predictions: Path, references: Path | None, metrics: Sequence[Metric]) -> dict[str, Any] | None:
    """What `compare` returns for one system without resamples; None where files or metrics cannot be streamed.

    Every row counts as a dialogue. Raises `UserError` as `pairs.read_systems` does.
    """
    tallies = [metric.tally() for metric in metrics if isinstance(metric, Streaming)]
    if len(tallies) < len(metrics):
        return None
    n = 0
    try:
        for part in _parts(predictions, references):
            n += len(part)
            for tally in tallies:
                tally.add(part)
    except NotInStepError:
        return None
    values = {figure: number(float(value[0])) for tally in tallies for figure, value in tally.values().items()}
    about = described(metrics)
    ordered = {figure: values[figure] for figure in about["metrics"]}
    model = {"name": name, "label": name, "n": n, "values": ordered, "intervals": {}}
    settings = {"baseline": name, "resamples": 0, "seed": 0, "confidence": 0.95}
    return {"n": n, "dialogues": n, **settings, **about, "models": [model], "tests": [], "notes": []}


def _parts(predictions: Path, references: Path | None) -> Iterator[pl.DataFrame]:
    """Predictions beside references, some thousand rows at a time."""
    texts: tuple[list[str], list[str]] = ([], [])
    empty = True
    for prediction, reference in _pairs(predictions, references):
        empty = False
        texts[0].append(prediction)
        texts[1].append(reference)
        if len(texts[0]) == _AT_ONCE:
            yield pl.DataFrame(dict(zip(("prediction", "reference"), texts, strict=True)))
            texts = ([], [])
    if empty:
        raise NotInStepError  # whoever reads it whole says which file is empty
    if texts[0]:
        yield pl.DataFrame(dict(zip(("prediction", "reference"), texts, strict=True)))


def _pairs(predictions: Path, references: Path | None) -> Iterator[tuple[str, str]]:
    answered = Reader(predictions, PREDICTIONS).rows()
    if references is None:
        for _, row in answered:
            yield _text(row, "prediction"), _text(row, "reference")
        return
    told = Reader(references, REFERENCES_ALONE).rows()
    for both in zip_longest(answered, told):
        if None in both:
            raise NotInStepError  # which says how many rows each file has
        (_, ours), (_, theirs) = both
        if "id" in ours and "id" in theirs and ours["id"] != theirs["id"]:
            raise NotInStepError
        yield _text(ours, "prediction"), _text(theirs, "reference")


def _text(row: dict[str, Any], which: str) -> str:
    if which not in row or "dialogue_id" in row or OUTPUTS in row:
        raise NotInStepError
    text: str = row[which]
    return text
