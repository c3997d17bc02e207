"""A judgement as a row: the same columns in the database and in the Parquet parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec

COLUMNS = tuple(Judgement.__dataclass_fields__)
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
