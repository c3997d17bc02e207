"""Any number of models on the same rows: figures, intervals over dialogues, and tests against a baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.metric import Measured, Metric
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.statistics.correction import holm
from efficient_empathy.foundation.statistics.resampling import Replicated, replicated

MODEL = "model"
"""In `Metric.columns`: it reads the model itself."""


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
) -> dict[str, Any]:
    """The figures of all models, as `evaluation.json` has them: `n`, `dialogues`, `baseline`, `metrics`, `models` …

    Every figure is tested, where better has a direction, as the paired difference to `baseline` (`base` by default,
    else the first) on the same resamples of dialogues; p-values are Holm-corrected over all of these tests. Without
    `resamples`, and on a single dialogue, there are neither intervals nor tests. nan is null. `tell` hears what is
    being done. Raises `UserError` for models with different rows, and as the metrics do.
    """
    rows = _same_rows(contestants)
    against = _baseline([one.name for one in contestants], baseline)
    dialogues = rows["dialogue_id"].n_unique()
    draws = resamples if dialogues > 1 else 0
    if draws and find_spec("scipy") is None:
        raise missing_extra("evaluate with --resamples", "eval")
    values: dict[str, dict[str, float]] = {one.name: {} for one in contestants}
    found: dict[str, dict[str, Replicated]] = {one.name: {} for one in contestants}
    notes: list[str] = []
    for metric in metrics:
        measured = _measure(metric, contestants, notes, tell)
        if draws:
            for name, drawn in replicated(measured, rows["dialogue_id"].to_list(), draws=draws, seed=seed).items():
                found[name] |= drawn
                values[name] |= {figure: one.value for figure, one in drawn.items()}
        else:
            for name, one in measured.items():
                values[name] |= {figure: float(value[0]) for figure, value in one.under().items()}
    figures = {figure.name: figure for metric in metrics for figure in metric.figures}
    tested = [name for name, figure in figures.items() if figure.better != "neither"]
    tests = _tests(found, against, tested, confidence) if draws else []
    if resamples and not draws:
        notes.append("all rows are of one dialogue, so there are neither intervals nor tests")
    if tests and len(tests) / (draws + 1) > 1 - confidence:
        notes.append(
            f"{len(tests)} tests with {draws:,} resamples: no bootstrapped difference can be significant after Holm's "
            f"correction; ask for {math.ceil(10 * len(tests) / (1 - confidence)):,} resamples"
        )
    return {
        "n": len(rows),
        "dialogues": dialogues,
        "baseline": against,
        "resamples": draws,
        "seed": seed,
        "confidence": confidence,
        **described(metrics),
        "models": [
            {
                "name": one.name,
                "label": one.label,
                "n": len(one.rows),
                "values": {f: number(values[one.name][f]) for f in figures if f in values[one.name]},
                "intervals": {
                    f: [number(end) for end in found[one.name][f].interval(confidence)]
                    for f in figures
                    if f in found[one.name]
                },
            }
            for one in contestants
        ],
        "tests": tests,
        "notes": notes,
    }


def described(metrics: Sequence[Metric]) -> dict[str, Any]:
    """What the figures are: `metrics` by figure and `about` by set, as `evaluation.json` has them."""
    return {
        "metrics": {
            figure.name: {"set": metric.name, "better": figure.better, "about": figure.about, "digits": figure.digits}
            for metric in metrics
            for figure in metric.figures
        },
        "about": {metric.name: dict(metric.about) for metric in metrics},
    }


def number(value: float) -> float | None:
    """A figure as it is written: 6 decimals, as the released code has; nan is null."""
    return None if math.isnan(value) else round(value, 6)


def _measure(
    metric: Metric, contestants: Sequence[Contestant], notes: list[str], tell: Callable[[str], None]
) -> dict[str, Measured]:
    measured: dict[str, Measured] = {}
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
            measured[one.name] = metric.measure(one.rows, one.path)
        except UserError as error:
            raise UserError(f"{one.name}: {error}" if len(contestants) > 1 else str(error)) from error
    return measured


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


def _baseline(names: Sequence[str], asked: str | None) -> str:
    if asked is not None and asked not in names:
        raise UserError(f"the baseline {asked!r} is not among the models: {', '.join(names)}")
    return asked or ("base" if "base" in names else names[0])


def _tests(
    found: Mapping[str, Mapping[str, Replicated]], baseline: str, tested: Sequence[str], confidence: float
) -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = []
    for name, figures in found.items():
        for figure in tested:
            if name == baseline or figure not in figures or figure not in found[baseline]:
                continue
            less = figures[figure] - found[baseline][figure]
            p = less.p_value()
            if math.isnan(p):
                continue
            interval = [number(end) for end in less.interval(confidence)]
            tests.append(
                {"model": name, "metric": figure, "difference": number(less.value), "interval": interval, "p": p}
            )
    for test, corrected in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p_holm"] = corrected
    return tests
