"""A judgement as a row: the same columns in the database and in the Parquet parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec

COLUMNS = tuple(Judgement.__dataclass_fields__)
ROW_SCHEMA = pl.Schema(
    {name: pl.String() for name in COLUMNS}
    | {name: pl.Int64() for name in ("prompt_tokens", "completion_tokens", "requests")}
    | {name: pl.Float64() for name in ("cost_usd", "latency_s", "created_at")}
    | {"probabilities": pl.Binary()}
)
NUMBER = "number"
"""The column with a judgement's number, beside `COLUMNS`."""
SUMS = ("requests", "prompt_tokens", "completion_tokens", "cost_usd")
"""The columns that add up."""


@lru_cache(maxsize=256)
def spec_of(content: str) -> JudgeSpec:
    """The spec that its JSON gives."""
    return JudgeSpec.model_validate_json(content)


def to_row(judgement: Judgement) -> dict[str, Any]:
    """By column: scores and dependence as JSON, probabilities as bytes, all else as it is."""
    return {
        **{column: getattr(judgement, column) for column in COLUMNS},
        "scores": json.dumps(dict(judgement.scores)),
        "probabilities": _to_blob(judgement),
        "dependence": json.dumps(list(judgement.dependence)),
    }


def from_row(values: Sequence[Any]) -> Judgement:
    """The judgement whose `to_row` has these values, in the order of `COLUMNS`."""
    row = dict(zip(COLUMNS, values, strict=True))
    scores: Mapping[str, float] = json.loads(row["scores"])
    contents = {
        "probabilities": _from_blob(row["probabilities"], scores),
        "dependence": tuple(json.loads(row["dependence"])),
    }
    return Judgement(**{**row, "scores": scores, **contents})


def judgements_of(rows: pl.DataFrame) -> dict[str, Judgement]:
    """By sample, the judgements that rows with all `COLUMNS` stand for."""
    judgements = map(from_row, rows.select(COLUMNS).iter_rows())
    return {judgement.sample_id: judgement for judgement in judgements}


def scores_of(rows: pl.DataFrame, axes: Sequence[str]) -> dict[str, pl.Series]:
    """The scores of rows, by axis; null where there is none."""
    kind = pl.Struct(dict.fromkeys(axes, pl.Float64))
    return rows["scores"].str.json_decode(kind).struct.unnest().to_dict()


def tables_of(rows: pl.DataFrame, levels: Mapping[str, int]) -> dict[str, npt.NDArray[np.float32]]:
    """By axis the distributions of rows over so many levels, (rows × levels); NaN where there is none."""
    tables = {axis: np.full((len(rows), count), np.nan, np.float32) for axis, count in levels.items()}
    numbered = rows.select("scores", "probabilities").with_row_index(NUMBER).drop_nulls("probabilities")
    names, size = pl.col("scores").str.extract_all(r'"[^"]*"').list.join(","), pl.col("probabilities").bin.size()
    for _, alike in numbered.group_by(names, size.alias("size")):
        axes = list(json.loads(alike["scores"][0]))
        content = np.frombuffer(b"".join(alike["probabilities"]), "<f4").reshape(len(alike), len(axes), -1)
        for axis, table in tables.items():
            table[alike[NUMBER]] = content[:, axes.index(axis), : table.shape[1]]
    return tables


def dependence_of(rows: pl.DataFrame, pairs: int) -> npt.NDArray[np.float32]:
    """The dependence between axes, (rows × pairs); 0 where there is none."""
    numbers = np.zeros((len(rows), pairs), np.float32)
    lists = rows["dependence"].str.json_decode(pl.List(pl.Float64))
    has_numbers = (lists.list.len() > 0).fill_null(False)
    numbers[has_numbers.to_numpy()] = lists.filter(has_numbers).list.to_array(pairs).to_numpy()
    return numbers


def _to_blob(judgement: Judgement) -> bytes | None:
    """A table with a row for each axis in the order of `scores`, as long as the longest scale."""
    if not judgement.probabilities:
        return None
    rows = [judgement.probabilities[axis] for axis in judgement.scores]
    table = np.full((len(rows), max(map(len, rows))), np.nan, "<f4")
    for content, row in zip(table, rows, strict=True):
        content[: len(row)] = row
    return table.tobytes()


def _from_blob(blob: bytes | None, scores: Mapping[str, float]) -> dict[str, Sequence[float]]:
    if blob is None:
        return {}
    table = np.frombuffer(blob, "<f4").reshape(len(scores), -1)
    return {axis: row[~np.isnan(row)].tolist() for axis, row in zip(scores, table, strict=True)}
