"""A run's samples as numbers, a row each in input order: scores, subset, counts of the text; and texts as words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import JsonValue

from efficient_empathy.foundation.run.facts import COUNTS, FACTS
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.selection.stage import active_selector

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FEATURES = {name: FACTS[name].words for name in COUNTS}
"""The counts of each sample by column, and what people call them."""
_LETTERS = r"\p{L}\p{M}\p{N}"
_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
TOKEN = rf"[{_ALONE}]|[{_LETTERS}]+(?:['’][\p{{L}}]+)*"
"""A word, or one letter of a script that is written without spaces."""


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
    policy: Mapping[str, JsonValue] = field(default_factory=dict)
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
    def is_kept(self) -> Mask:
        """Which rows the selection keeps."""
        names = [subset for subset in self.subsets if subset != self.otherwise]
        return self.rows["subset"].is_in(names).fill_null(False).to_numpy()

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
        """The labels of a column, without blanks around them; an empty label counts as none."""
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
    selector = active_selector(run)
    columns = ["sample_id", "dialogue_id", "category", "split", "source", "state", *COUNTS, *run.axis_names]
    rows = run.read([*columns, *(["subset"] if selector else [])])
    dialogues = rows["dialogue_id"]
    numbers = dialogues.cast(pl.Enum(dialogues.unique(maintain_order=True))).to_physical().to_numpy().astype(np.int64)
    rows = rows.drop("dialogue_id")
    scales = {axis.name: (axis.low, axis.high) for axis in run.axes}
    if selector is None:
        rows = rows.with_columns(pl.lit(None, pl.String).alias("subset"))
        return Table(run, rows, numbers, scales, notes=tuple(run.notes))
    policy = selector.parameters()["policy"]
    return Table(run, rows, numbers, scales, selector.subsets, selector.otherwise, policy, tuple(run.notes))


@dataclass(frozen=True)
class Words:
    """Row i has the words `vocabulary[codes[j]]` for j from `starts[i]` to `starts[i + 1]`; lower case."""

    starts: Codes
    codes: Codes
    vocabulary: list[str]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Codes:
        """How many words each row has."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Codes:
        """The row of each word."""
        return np.repeat(np.arange(len(self)), self.lengths)


def words(texts: pl.Series) -> Words:
    """Split texts; the vocabulary is sorted, so numbers hang on the texts alone."""
    split = texts.fill_null("").str.to_lowercase().str.extract_all(TOKEN)
    starts = np.concatenate([[0], split.list.len().to_numpy().astype(np.int64).cumsum()])
    flat = split.explode(empty_as_null=False)
    vocabulary = flat.unique().sort()
    codes = flat.cast(pl.Enum(vocabulary)).to_physical().to_numpy().astype(np.int64)
    return Words(starts, codes, vocabulary.to_list())


def read_exchanges(run: RunTable) -> pl.DataFrame:
    """For each sample `last` (the turn before the response), the `role` of its speaker, and `response`."""
    last = pl.col("context").list.last().struct
    rows = run.scan(["context", "response"])
    with readable(run.workspace.samples):
        return rows.select(last.field("text").alias("last"), last.field("role").alias("role"), "response").collect(
            engine="streaming"
        )


def read_speakers(run: RunTable) -> pl.DataFrame:
    """For each dialogue, in order of first samples, `text`: all that its speaker says in its longest context."""
    speaker = pl.element().struct.field("role") == "speaker"
    speech = pl.col("context").list.eval(pl.element().filter(speaker).struct.field("text")).list.join(" ")
    with readable(run.workspace.samples):
        frame = run.scan(["dialogue_id", "context"]).select("dialogue_id", speech.alias("text"))
        longest = pl.col("text").get(pl.col("text").str.len_chars().arg_max())
        return frame.group_by("dialogue_id", maintain_order=True).agg(longest).collect()
