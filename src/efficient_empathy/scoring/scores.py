"""`scores.parquet`: one row a sample in input order, from the samples and the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.scoring.joint import cell_masses
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.workspace import atomic

CHUNK = 8192
_S, _R = np.indices((11, 11))
PAPER_AT_5 = {
    "p_sensibility": (_S > 5) & (_R < 5),
    "p_rationality": _R > 5,
    "p_discard": ~((_S > 5) & (_R < 5)) & (_R <= 5),
}
"""The paper's rule at its thresholds of 5, as cells of sensibility × rationality."""


def scores_schema(rubric: Rubric, *, distributions: bool) -> pl.Schema:
    """The columns: `sample_id, state`, a score per axis (null unless ok), and what a judge with distributions adds."""
    columns: dict[str, pl.DataType] = {"sample_id": pl.String(), "state": pl.String()}
    columns |= {axis.name: pl.Float32() for axis in rubric.axes}
    if distributions:
        columns |= {f"{axis.name}_std": pl.Float32() for axis in rubric.axes}
        columns |= {f"{axis.name}_probabilities": pl.Array(pl.Float32, len(axis.values)) for axis in rubric.axes}
        if _is_empathy(rubric):
            columns |= dict.fromkeys((*PAPER_AT_5, "p_association"), pl.Float32())
    return pl.Schema(columns)


def write_scores(samples: Path, ledger: Ledger, spec: str, rubric: Rubric, path: Path, *, distributions: bool) -> None:
    """Write `scores.parquet`, streaming: `state` is null for what was not judged yet."""
    schema = scores_schema(rubric, distributions=distributions)

    def frames(with_columns: object, predicate: object, n_rows: object, batch_size: object) -> Iterator[pl.DataFrame]:
        for chunk in scan_samples(samples, CHUNK):
            ids = [sample.id for sample in chunk]
            found = ledger.latest(spec, ids)
            yield _frame(ids, [found.get(i) for i in ids], rubric, schema)

    with atomic(path) as temporary:
        register_io_source(frames, schema=schema).sink_parquet(temporary, compression="zstd")


def _frame(
    ids: Sequence[str], judgements: Sequence[Judgement | None], rubric: Rubric, schema: pl.Schema
) -> pl.DataFrame:
    columns: dict[str, object] = {"sample_id": ids, "state": [j.state if j else None for j in judgements]}
    for axis in rubric.axes:
        columns[axis.name] = [j.scores.get(axis.name) if j else None for j in judgements]
    if any(name.endswith("_probabilities") for name in schema):
        tables = {axis.name: _table(judgements, axis.name, np.asarray(axis.values)) for axis in rubric.axes}
        columns |= _distribution_columns(judgements, tables, rubric)
    return pl.DataFrame(columns, schema=schema, nan_to_null=True)


def _table(judgements: Sequence[Judgement | None], axis: str, values: np.ndarray) -> np.ndarray:
    """Probabilities, (samples × values) float32; NaN where there are none."""
    table = np.full((len(judgements), len(values)), np.nan, np.float32)
    for i, judgement in enumerate(judgements):
        if judgement and axis in judgement.probabilities:
            table[i] = judgement.probabilities[axis]
    return table


def _distribution_columns(
    judgements: Sequence[Judgement | None], tables: dict[str, np.ndarray], rubric: Rubric
) -> dict[str, object]:
    columns: dict[str, object] = {}
    for axis in rubric.axes:
        table, values = tables[axis.name], np.asarray(axis.values, np.float32)
        mean = table @ values
        columns[f"{axis.name}_std"] = np.sqrt(np.maximum(table @ values**2 - mean**2, 0))
        absent = np.isnan(table[:, 0])
        columns[f"{axis.name}_probabilities"] = pl.Series(table).set(pl.Series(absent), None)
    if _is_empathy(rubric):
        together = np.array([j.association if j else 0.0 for j in judgements], np.float32)
        masses = cell_masses(
            tables["sensibility"], tables["rationality"], np.stack(list(PAPER_AT_5.values())), together
        )
        columns |= {name: masses[:, i] for i, name in enumerate(PAPER_AT_5)}
        columns["p_association"] = np.where(np.isnan(masses[:, 0]), np.nan, together)
    return columns


def _is_empathy(rubric: Rubric) -> bool:
    scales = {axis.name: axis.scale for axis in rubric.axes}
    return scales.get("sensibility") == (0, 10) and scales.get("rationality") == (0, 10)
