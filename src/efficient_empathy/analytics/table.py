"""A run's samples as numbers, a row each in input order: scores, subset, and what can be counted in the text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.stage_records import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace, file_hash
from efficient_empathy.selection.columns import UNSCORED, axes_of
from efficient_empathy.selection.faults import told
from efficient_empathy.selection.rules import DISCARD

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WORD = r"\S+"
FEATURES = {
    "response_words": "words of the response",
    "context_words": "words of the context",
    "turn": "turn",
    "questions": "question marks in the response",
    "exclamations": "exclamation marks in the response",
}
"""What is counted of each sample, and what it is called."""
_AGAIN = "run `efficient-empathy score` again"


@dataclass(frozen=True)
class Table:
    """`rows` has `sample_id, dialogue, turn, category, split, source, state, subset`, the axes (null unless scored) and
    `FEATURES`; `scales` are each axis's lowest and highest score, `subsets` those of the selection in its order."""

    name: str
    rows: pl.DataFrame
    scales: Mapping[str, tuple[int, int]]
    subsets: tuple[str, ...]
    policy: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def axes(self) -> list[str]:
        """The axes in the rubric's order."""
        return list(self.scales)

    @cached_property
    def dialogues(self) -> Codes:
        """The dialogue of each row, numbered as they first come."""
        return self.rows["dialogue"].to_numpy().astype(np.int64)

    @cached_property
    def scored(self) -> Mask:
        """Which rows have a score on every axis."""
        return self.rows.select(pl.all_horizontal(pl.col(self.axes).is_not_null())).to_series().to_numpy()

    @cached_property
    def kept(self) -> Mask:
        """Which rows the selection keeps."""
        return self.rows.select(pl.col("subset").is_in([*self.subsets]) & (pl.col("subset") != DISCARD)).to_series(
        ).fill_null(False).to_numpy()  # fmt: skip

    def column(self, name: str) -> Floats:
        """A column as numbers, nan where there is none."""
        return self.rows[name].cast(pl.Float64).fill_null(math.nan).to_numpy()

    def bins(self, axis: str) -> Codes:
        """The whole score nearest to each row's, counted from the axis's lowest; -1 where there is no score."""
        low, high = self.scales[axis]
        values = self.column(axis)
        places = np.clip(np.floor(np.nan_to_num(values, nan=low) + 0.5), low, high) - low
        return np.where(np.isnan(values), -1, places).astype(np.int64)

    def labels(self, name: str) -> Labels:
        """The values of a text column."""
        return Labels.of(self.rows[name])


@dataclass(frozen=True)
class Labels:
    """One label a row: its place in `names`, which stand from the most frequent to the rarest; -1 for none."""

    names: list[str]
    codes: Codes

    @classmethod
    def of(cls, column: pl.Series) -> Labels:
        """Of a column; blanks around a label do not count, and an empty one is none."""
        text = column.cast(pl.String).str.strip_chars().replace("", None).rename("label")
        counts = text.drop_nulls().value_counts().sort("count", "label", descending=[True, False])
        names = counts["label"].to_list()
        codes = text.replace_strict(names, list(range(len(names))), default=-1, return_dtype=pl.Int64).fill_null(-1)
        return cls(names, codes.to_numpy())

    def take(self, rows: Mask) -> Labels:
        """Of some rows; the names stay."""
        return Labels(self.names, self.codes[rows])


def read_table(workspace: Workspace) -> Table:
    """Read a scored run. Raises `UserError` where it is not scored, or its scores are of other samples."""
    workspace.require(workspace.samples, "score SOURCE")
    workspace.require(workspace.scores, "score SOURCE")
    with told(f"read {workspace.scores} beside {workspace.samples.name}", _AGAIN):
        columns = pl.read_parquet_schema(workspace.scores)
        axes = axes_of(columns)
        scores = pl.read_parquet(workspace.scores, columns=["sample_id", "state", *axes], glob=False)
        rows = pl.scan_parquet(workspace.samples, glob=False).select(_counted()).collect(engine="streaming")
    if not axes:
        raise UserError(f"{workspace.scores} has no axis: score the run again")
    if len(rows) != len(scores) or not (rows["sample_id"] == scores["sample_id"]).all():
        raise UserError(f"{workspace.scores} is not about the samples of {workspace.samples.name}: {_AGAIN}")
    dialogues = rows["dialogue_id"]
    numbers = dialogues.cast(pl.Enum(dialogues.unique(maintain_order=True))).to_physical().rename("dialogue")
    rows = rows.drop("dialogue_id").with_columns(numbers)
    ok = (scores["state"] == "ok").fill_null(False)
    marks = [scores[axis].cast(pl.Float32).fill_nan(None).set(~ok, None) for axis in axes]
    rows = rows.with_columns(scores["state"], *marks)
    subset, subsets, policy, notes = _selection(workspace, scores["sample_id"])
    rows = rows.with_columns(subset)
    return Table(workspace.root.resolve().name, rows, _scales(workspace, rows, axes), subsets, policy, notes)


def _counted() -> list[pl.Expr]:
    response, turns = pl.col("response"), pl.col("context").list
    spoken = turns.eval(pl.element().struct.field("text").str.count_matches(WORD)).list.sum()
    return [
        pl.col("sample_id"),
        pl.col("dialogue_id"),
        pl.col("turn").cast(pl.Int64),
        pl.col("category"),
        pl.col("split"),
        pl.col("source"),
        response.str.count_matches(WORD).cast(pl.Int64).alias("response_words"),
        spoken.cast(pl.Int64).alias("context_words"),
        response.str.count_matches(r"[?？؟]").cast(pl.Int64).alias("questions"),
        response.str.count_matches(r"[!！]").cast(pl.Int64).alias("exclamations"),
        turns.last().struct.field("role").alias("last_role"),
    ]


def _selection(
    workspace: Workspace, ids: pl.Series
) -> tuple[pl.Series, tuple[str, ...], Mapping[str, Any], tuple[str, ...]]:
    """Each row's subset, the subsets, the policy, and what is wrong with the selection."""
    none = pl.Series("subset", [None] * len(ids), dtype=pl.String)
    if not workspace.assignments.exists():
        return none, (), {}, ("the run is not selected: `efficient-empathy select` says what is kept",)
    record = workspace.stage("select", SelectRecord)
    if record is None or record.inputs.get(workspace.scores.name) != file_hash(workspace.scores):
        return none, (), {}, ("the selection is of other scores and is left out: run `efficient-empathy select` again",)
    workspace.require(workspace.assignments, "select")
    with told(f"read {workspace.assignments}", "run `efficient-empathy select` again"):
        found = pl.read_parquet(workspace.assignments, columns=["sample_id", "subset"], glob=False)
    if len(found) != len(ids) or not (found["sample_id"] == ids).all():
        raise UserError(f"{workspace.assignments} is not about the run's samples: select again")
    subsets = tuple(name for name in record.subsets if name != UNSCORED)
    return found["subset"], subsets, {"policy": record.policy_name, **record.thresholds}, ()


def _scales(workspace: Workspace, rows: pl.DataFrame, axes: list[str]) -> dict[str, tuple[int, int]]:
    """As the run's rubric has them; else 0 to 10, stretched to what occurs."""
    given = workspace.stage("score").get("rubric", {}).get("axes", {})
    found = {}
    for axis in axes:
        if axis in given:
            found[axis] = (int(given[axis][0]), int(given[axis][1]))
            continue
        low, high = (rows[axis].min(), rows[axis].max())
        found[axis] = (min(0, math.floor(float(low or 0))), max(10, math.ceil(float(high or 0))))  # type: ignore[arg-type]
    return found
