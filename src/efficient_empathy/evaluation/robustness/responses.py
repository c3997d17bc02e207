"""The figures of a sweep's models by their responses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from efficient_empathy.evaluation.metric import Metric, MetricOptions
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.foundation.errors import UserError


def metrics_of(names: Sequence[str], options: MetricOptions) -> list[Metric]:
    """The metrics called `names`. Raises `UserError` for one that there is not, or that reads more than responses."""
    if "quality" in names:
        raise UserError(
            "the metric quality pays a judge for every response: sweep with --keep, then generate and evaluate the "
            "models that matter"
        )
    metrics = choose(names, options)
    for metric in metrics:
        if "model" in metric.columns:
            raise UserError(
                f"the metric {metric.name} reads models, whose weights a sweep does not keep: its held-out loss tells "
                "the same"
            )
    return metrics


def figures_of(metrics: Sequence[Metric], responses: Path, samples: Path) -> dict[str, float | None]:
    """Every figure of a file of responses, against the samples' own; None where a figure is undefined."""
    answered = pl.read_parquet(responses, glob=False, columns=["sample_id", "response"])
    known = pl.read_parquet(
        samples, glob=False, columns=["sample_id", "dialogue_id", "context", "response", "category"]
    ).unique("sample_id", keep="first")
    rows = (
        answered.rename({"response": "prediction"})
        .join(known, on="sample_id", how="left", maintain_order="left")
        .rename({"sample_id": "id", "response": "reference"})
        .with_columns(pl.col("prediction").fill_null(""))
    )
    found = {name: float(value[0]) for one in metrics for name, value in one.measure(rows).under().items()}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
