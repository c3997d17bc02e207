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

from efficient_empathy.foundation.run.facts import COUNTS, FACTS
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.selection.recorded import recorded_selector

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FEATURES = {name: FACTS[name].words for name in COUNTS}
"""What is counted of each sample, and what it is called."""


@dataclass(frozen=True)
class Table:
    """`rows` has `sample_id, category, split, source, state, subset`, `FEATURES` and the axes (null unless scored).

    `dialogues` has the dialogue of each row, numbered as they first come; `scales` each axis's lowest and highest
    score; `subsets` those of the selection in its order, `otherwise` the one that is left out.
    """

    run: RunTable
    rows: pl.DataFrame
    dialogues: Codes
    scales: Mapping[str, tuple[int, int]]
    subsets: tuple[str, ...] = ()
    otherwise: str = ""
    policy: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.run.name

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def axes(self) -> list[str]:
        """The axes in the rubric's order."""
        return list(self.scales)

    @cached_property
    def scored(self) -> Mask:
        """Which rows have a score on every axis."""
        return self.rows.select(pl.all_horizontal(pl.col(self.axes).is_not_null())).to_series().to_numpy()

    @cached_property
    def kept(self) -> Mask:
        """Which rows the selection keeps."""
        kept = [subset for subset in self.subsets if subset != self.otherwise]
        return self.rows["subset"].is_in(kept).fill_null(False).to_numpy()

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
    run = RunTable(workspace).require("scores")
    selector = recorded_selector(run)
    named = ["sample_id", "dialogue_id", "category", "split", "source", "state", *COUNTS, *run.axis_names]
    rows = run.read([*named, *(["subset"] if selector else [])])
    dialogues = rows["dialogue_id"]
    numbers = dialogues.cast(pl.Enum(dialogues.unique(maintain_order=True))).to_physical().to_numpy().astype(np.int64)
    rows = rows.drop("dialogue_id")
    scales = {axis.name: (axis.low, axis.high) for axis in run.axes}
    if selector is None:
        rows = rows.with_columns(pl.lit(None, pl.String).alias("subset"))
        return Table(run, rows, numbers, scales, notes=tuple(run.notes))
    policy = selector.parameters()["policy"]
    return Table(run, rows, numbers, scales, selector.subsets, selector.otherwise, policy, tuple(run.notes))
