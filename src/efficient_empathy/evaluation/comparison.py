"""Any number of models on the same rows: figures, intervals over dialogues, tests against a baseline, and examples."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import MODEL, Measured, Metric, reading_replies_alone
from efficient_empathy.evaluation.metrics.stock import TOP_REPLY, commonest
from efficient_empathy.evaluation.record import (
    EvaluatedExample,
    EvaluatedModel,
    EvaluationRecord,
    MeasuredFigure,
    PairedTest,
)
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.statistics.resampling import ReplicatedFigure, holm, replicate
from efficient_empathy.selection.shares import tie_hash

EXAMPLES = 6
LONG_ENOUGH = 5
"""Words of a reference below which sharing one is luck; such samples come last."""
_WORD = re.compile(r"[\w']+")


@dataclass(frozen=True)
class Contestant:
    """A model of the comparison: its rows (see `Metric`), and where the model itself is, if that is known."""

    name: str
    label: str
    rows: pl.DataFrame
    path: Path | str | None = None


def compare(
    contestants: Sequence[Contestant],
    metrics: Sequence[Metric],
    *,
    baseline: str | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    tell: Callable[[str], None] = lambda doing: None,
) -> EvaluationRecord:
    """The figures of all models, without examples.

    Every figure is tested, where better has a direction, as the paired difference to `baseline` (`base` by default,
    else the first) on the same resamples of dialogues; p-values are Holm-corrected over all of these tests. Without
    `resamples`, and on a single dialogue, there are neither intervals nor tests. `tell` hears what is
    being done. Raises `UserError` for models with different rows, and as the metrics do.
    """
    rows = _same_rows(contestants)
    against = _baseline([one.name for one in contestants], baseline)
    dialogues = rows["dialogue_id"].n_unique()
    draws = resamples if dialogues > 1 else 0
    if draws and find_spec("scipy") is None:
        raise missing_extra("evaluate with --resamples", "eval")
    values: dict[str, dict[str, float]] = {one.name: {} for one in contestants}
    replicates: dict[str, dict[str, ReplicatedFigure]] = {one.name: {} for one in contestants}
    notes: list[str] = []
    for metric in metrics:
        measures = _measure(metric, contestants, notes, tell)
        if draws:
            for name, own in replicate(measures, rows["dialogue_id"].to_list(), draws=draws, seed=seed).items():
                replicates[name] |= own
                values[name] |= {figure: one.value for figure, one in own.items()}
        else:
            for name, one in measures.items():
                values[name] |= {figure: float(value[0]) for figure, value in one.under().items()}
    figures = {figure.name: figure for metric in metrics for figure in metric.figures}
    directed = [name for name, figure in figures.items() if figure.better != "neither"]
    tests = _tests(replicates, against, directed, confidence) if draws else ()
    if resamples and not draws:
        notes.append("all rows are of one dialogue, so there are neither intervals nor tests")
    if tests and len(tests) / (draws + 1) > 1 - confidence:
        notes.append(
            f"{len(tests)} tests with {draws:,} resamples: no bootstrapped difference can be significant after Holm's "
            f"correction; ask for {math.ceil(10 * len(tests) / (1 - confidence)):,} resamples"
        )
    return EvaluationRecord(
        n=len(rows),
        dialogues=dialogues,
        baseline=against,
        resamples=draws,
        seed=seed,
        confidence=confidence,
        metrics=describe_figures(metrics),
        about=about_of(metrics),
        references=references_alone(metrics, rows),
        models=tuple(
            EvaluatedModel(
                name=one.name,
                label=one.label,
                n=len(one.rows),
                values={f: number(values[one.name][f]) for f in figures if f in values[one.name]},
                intervals={
                    f: _ends(replicates[one.name][f], confidence, figures[f].bounds)
                    for f in figures
                    if f in replicates[one.name]
                },
                commonest=commonest(one.rows) if TOP_REPLY in figures else {},
            )
            for one in contestants
        ),
        tests=tests,
        notes=tuple(notes),
    )


def references_alone(metrics: Sequence[Metric], rows: pl.DataFrame) -> dict[str, float | None]:
    """The figures of the references as if they were replies, of the metrics that read replies alone."""
    replies = rows.with_columns(prediction="reference")
    alone = [metric.measure(replies).under() for metric in reading_replies_alone(metrics)]
    return {name: number(float(value[0])) for values in alone for name, value in values.items()}


def describe_figures(metrics: Sequence[Metric]) -> dict[str, MeasuredFigure]:
    """What the figures are, by their names."""
    return {
        figure.name: MeasuredFigure(
            group=metric.name, better=figure.better, about=figure.about, digits=figure.digits, bounds=figure.bounds
        )
        for metric in metrics
        for figure in metric.figures
    }


def about_of(metrics: Sequence[Metric]) -> dict[str, dict[str, Any]]:
    """What metrics say of themselves, by their names, as JSON has it."""
    about: dict[str, dict[str, Any]] = json.loads(
        json.dumps({metric.name: dict(metric.about) for metric in metrics}, default=str)
    )
    return about


def number(value: float) -> float | None:
    """A figure as it is written: 6 decimals, as the released code has; nan is null."""
    return None if math.isnan(value) else round(value, 6)


def _ends(
    figure: ReplicatedFigure, confidence: float, bounds: tuple[float, float] | None = None
) -> tuple[float, float] | None:
    """The interval, within `bounds`: that of a jackknife is symmetric, and would go beyond the highest share."""
    low, high = (number(end) for end in figure.interval(confidence))
    if low is None or high is None:
        return None
    return (max(low, bounds[0]), min(high, bounds[1])) if bounds else (low, high)


def _measure(
    metric: Metric, contestants: Sequence[Contestant], notes: list[str], tell: Callable[[str], None]
) -> dict[str, Measured]:
    measures: dict[str, Measured] = {}
    if MODEL in metric.columns and all(one.path is None for one in contestants):
        raise UserError(f"{metric.name} needs the models themselves, and only responses are here: leave it out")
    if MODEL not in metric.columns:
        tell(f"{metric.name}: {len(contestants)} models" if len(contestants) > 1 else metric.name)
    for one in contestants:
        if MODEL in metric.columns and one.path is None:
            notes.append(f"{metric.name} of {one.name} is left out: it needs the model, and only responses are here")
            continue
        if MODEL in metric.columns:
            tell(f"{metric.name}: {one.label}")
        try:
            measures[one.name] = metric.measure(one.rows, one.path)
        except UserError as error:
            raise UserError(f"{one.name}: {error}" if len(contestants) > 1 else str(error)) from error
    return measures


def _same_rows(contestants: Sequence[Contestant]) -> pl.DataFrame:
    """The rows of the first. Raises `UserError` if another's have other ids."""
    first, *others = contestants
    if first.rows.is_empty():
        raise UserError(f"{first.name} has no rows: nothing to evaluate")
    why = "figures such as Dist-n fall as N grows, so models are compared on the same rows alone"
    for other in others:
        if len(other.rows) != len(first.rows):
            raise UserError(
                f"{first.name} has {len(first.rows):,} rows and {other.name} {len(other.rows):,}: {why}; "
                "answer the same samples with both, or leave one out"
            )
        differ = first.rows["id"].ne_missing(other.rows["id"])
        if differ.any():
            row = differ.arg_max() or 0
            raise UserError(
                f"{first.name} and {other.name} differ in row {row + 1}, {first.rows['id'][row]} against "
                f"{other.rows['id'][row]}: {why}; answer the same samples with both, or leave one out"
            )
    return first.rows


def _baseline(names: Sequence[str], choice: str | None) -> str:
    if choice is not None and choice not in names:
        raise UserError(f"the baseline {choice!r} is not among the models: {', '.join(names)}")
    return choice or ("base" if "base" in names else names[0])


def _tests(
    replicates: Mapping[str, Mapping[str, ReplicatedFigure]], baseline: str, names: Sequence[str], confidence: float
) -> tuple[PairedTest, ...]:
    differences: list[tuple[str, str, ReplicatedFigure, float]] = []
    for name, figures in replicates.items():
        for figure in names:
            if name == baseline or figure not in figures or figure not in replicates[baseline]:
                continue
            difference = figures[figure] - replicates[baseline][figure]
            if not math.isnan(p := difference.p_value()):
                differences.append((name, figure, difference, p))
    corrected = holm([p for *_, p in differences])
    return tuple(
        PairedTest(
            model=model, metric=figure, difference=number(difference.value), interval=_ends(difference, confidence),
            p=p, p_holm=p_holm,
        )
        for (model, figure, difference, p), p_holm in zip(differences, corrected, strict=True)
    )  # fmt: skip


def choose_examples(
    contestants: Sequence[Contestant], *, count: int = EXAMPLES, seed: int = 0
) -> tuple[EvaluatedExample, ...]:
    """At most `count` samples, no two of a dialogue, on which the models' word overlap with the reference differs most.

    The overlap is the token F1 of the two bags of lower-cased words (as SQuAD's, Rajpurkar et al. 2016). Equal
    differences are ordered by a seeded hash of the sample. A single model has none.
    """
    if len(contestants) < 2:
        return ()
    first = contestants[0].rows
    references = [_words(text) for text in first["reference"]]
    overlaps = np.array(
        [
            [token_f1(_words(text), words) for text, words in zip(one.rows["prediction"], references, strict=True)]
            for one in contestants
        ]
    )
    spread = overlaps.max(0) - overlaps.min(0)
    short = np.array([words.total() < LONG_ENOUGH for words in references])
    order = np.lexsort((tie_hash(first["id"], seed), -spread, short))
    dialogues = first["dialogue_id"].to_list()
    rows: dict[str, int] = {}
    for row in order[spread[order] > 0].tolist():
        if len(rows) == count:
            break
        rows.setdefault(dialogues[row], row)
    return tuple(_example(contestants, row, overlaps[:, row]) for row in rows.values())


def token_f1(prediction: Counter[str], reference: Counter[str]) -> float:
    """2 × shared words ÷ all words of both; 0 where there are none."""
    total = prediction.total() + reference.total()
    return 2 * (prediction & reference).total() / total if total else 0.0


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def _example(contestants: Sequence[Contestant], row: int, overlaps: npt.NDArray[np.float64]) -> EvaluatedExample:
    best, worst = contestants[int(overlaps.argmax())], contestants[int(overlaps.argmin())]
    rows = contestants[0].rows
    return EvaluatedExample(
        sample_id=rows["id"][row],
        context=rows["context"].slice(row, 1).to_list()[0] if "context" in rows.columns else (),
        reference=rows["reference"][row],
        responses={one.name: one.rows["prediction"][row] for one in contestants},
        why=f"word overlap with the reference: {best.label} {overlaps.max():.2f}, {worst.label} {overlaps.min():.2f}",
    )
