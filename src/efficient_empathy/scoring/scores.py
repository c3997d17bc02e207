"""`scores.parquet`: one row a sample in input order, made from the samples and the ledger, read beside the samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from efficient_empathy.dialogues import scan_ids
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.scoring.ledger import Ledger, dependence_of, scores_of, tables_of
from efficient_empathy.scoring.panel import Panel, pool_columns
from efficient_empathy.scoring.rubric import Rubric

CHUNK = 8192
DEPENDENCE = "dependence"
_READ = ("sample_id", "state", "judge", "scores", "probabilities", "dependence")
"""Of a judgement."""


def scores_schema(rubric: Rubric, panel: Panel, *, distributions: bool) -> pl.Schema:
    """The columns: `sample_id, state`, a score per axis (null unless ok), and what the panel adds.

    A pooled score adds its spread and `judgements`, `disagreement`; a choice among judges `answered_by`; a judge with
    distributions these and, for two axes and more, `dependence`: a number for each pair (`scoring.dependence`).
    """
    columns: dict[str, pl.DataType] = {"sample_id": pl.String(), "state": pl.String()}
    columns |= {axis.name: pl.Float32() for axis in rubric.axes}
    if distributions or panel.pools:
        columns |= {f"{axis.name}_std": pl.Float32() for axis in rubric.axes}
    if panel.pools:
        columns |= {"judgements": pl.UInt16(), "disagreement": pl.Float32()}
    elif len(panel.specs) > 1:
        columns["answered_by"] = pl.String()
    if distributions:
        columns |= {f"{axis.name}_probabilities": pl.Array(pl.Float32, len(axis.values)) for axis in rubric.axes}
        if pairs := _pairs(rubric):
            columns[DEPENDENCE] = pl.Array(pl.Float32, pairs)
    return pl.Schema(columns)


def write_scores(samples: Path, ledger: Ledger, panel: Panel, rubric: Rubric, path: Path) -> None:
    """Write `scores.parquet`, streaming: `state` is null for what was not judged yet."""
    schema = scores_schema(rubric, panel, distributions=panel.distributions(ledger))

    def frames(with_columns: object, predicate: object, n_rows: object, batch_size: object) -> Iterator[pl.DataFrame]:
        for ids in scan_ids(samples, CHUNK):
            yield score_frame(ids, ledger, panel, rubric, schema)

    with atomic(path) as temporary:
        register_io_source(frames, schema=schema).sink_parquet(temporary, compression="zstd")


def score_frame(ids: list[str], ledger: Ledger, panel: Panel, rubric: Rubric, schema: pl.Schema) -> pl.DataFrame:
    """The rows of samples with these ids, with the columns of `scores_schema`."""
    if panel.pools:
        columns = pool_columns(panel.judgements(ledger, ids), rubric, panel.pool)
    else:
        order = pl.DataFrame({"sample_id": ids}, schema={"sample_id": pl.String()})
        answers = panel.answer_rows(ledger, ids, _READ)
        columns = _columns(order.join(answers, on="sample_id", how="left", maintain_order="left"), rubric, schema)
    return pl.DataFrame({"sample_id": ids, **columns}, schema_overrides=schema, nan_to_null=True).select(schema.names())


def _columns(answers: pl.DataFrame, rubric: Rubric, schema: pl.Schema) -> dict[str, object]:
    columns: dict[str, object] = {"state": answers["state"], **scores_of(answers, rubric.axis_names)}
    if "answered_by" in schema:
        columns["answered_by"] = answers.select(pl.when(state="ok").then("judge")).to_series()
    if any(name.endswith("_probabilities") for name in schema):
        columns |= _distribution_columns(answers, rubric)
    return columns


def _distribution_columns(answers: pl.DataFrame, rubric: Rubric) -> dict[str, object]:
    columns: dict[str, object] = {}
    tables = tables_of(answers, {axis.name: len(axis.values) for axis in rubric.axes})
    for axis in rubric.axes:
        table, values = tables[axis.name], np.asarray(axis.values, np.float32)
        mean = table @ values
        columns[f"{axis.name}_std"] = np.sqrt(np.maximum(table @ values**2 - mean**2, 0))
        absent = np.isnan(table[:, 0])
        columns[f"{axis.name}_probabilities"] = pl.Series(table).set(pl.Series(absent), None)
    if pairs := _pairs(rubric):
        absent = np.logical_or.reduce([np.isnan(table[:, 0]) for table in tables.values()])
        columns[DEPENDENCE] = pl.Series(dependence_of(answers, pairs)).set(pl.Series(absent), None)
    return columns


def _pairs(rubric: Rubric) -> int:
    return len(rubric.axes) * (len(rubric.axes) - 1) // 2
