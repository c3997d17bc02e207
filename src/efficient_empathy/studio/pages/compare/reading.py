"""A table to read: samples down, columns across (models with their responses, or judges), and what a reader thought."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from efficient_empathy.evaluation.ratings.design import REFERENCE
from efficient_empathy.foundation.errors import error_context
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.replies import reply_names, require_replies
from efficient_empathy.prompts.compare.comparison import ShownPiece, shown_pieces, word_diff

PAGE_ROWS = 20
_LONGEST = 4000


@dataclass(frozen=True)
class Column(ABC):
    """What stands in a column of the table: of each sample a value, which is read beside those of other columns."""

    run: str
    name: str
    """By which votes and notes on it are kept in the run."""
    workspace: Workspace

    ranked: ClassVar[bool] = False
    """Whether the samples on which columns are furthest apart come first."""
    shows_response: ClassVar[bool] = False
    """Whether the response of the sample itself stands below its context."""

    @property
    def key(self) -> str:
        """RUN/NAME."""
        return f"{self.run}/{self.name}"

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return self.name

    @abstractmethod
    def frame(self) -> pl.DataFrame:
        """`sample_id` and `value`, of those samples that it has one of. Raises `UserError` where it cannot be read."""

    @abstractmethod
    def apart(self, values: Sequence[pl.Expr]) -> pl.Expr:
        """How far apart the values of all columns are; 0 where they are the same."""

    @abstractmethod
    def text(self, value: Any) -> str:
        """What of a value can be searched for a text."""

    @abstractmethod
    def cell(self, sample_id: str, value: Any, first: Any) -> Cell:
        """A value as it stands on the page, beside that of the first column."""


@dataclass(frozen=True)
class Responder(Column):
    """A model of a run with its responses, or the samples' own responses."""

    def frame(self) -> pl.DataFrame:
        """`value` is the response."""
        path = self.workspace.samples if self.name == REFERENCE else require_replies(self.workspace, self.name)
        with error_context(f"read {path}"):
            frame = pl.read_parquet(path, columns=["sample_id", "response"], glob=False)
        frame = frame.rename({"response": "value"}).drop_nulls("value")
        return frame.unique("sample_id", keep="first", maintain_order=True)

    def apart(self, values: Sequence[pl.Expr]) -> pl.Expr:
        """1 where any has other words."""
        first, *others = [value.str.strip_chars().str.replace_all(r"\s+", " ") for value in values]
        return pl.any_horizontal(*(first != other for other in others)).cast(pl.Float64)

    def text(self, value: str) -> str:
        """The response."""
        return value

    def cell(self, sample_id: str, value: str, first: str) -> Cell:
        """The response, and how its words differ from the first one's."""
        text = value[:_LONGEST]
        return Cell(text, () if value is first else tuple(shown_pieces(word_diff(first[:_LONGEST], text))))


@dataclass(frozen=True, slots=True)
class ShownScore:
    """A score in a cell, and by how much it is higher than the first column's; None in that."""

    axis: str
    value: float
    higher: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its words, how they differ from those of the first column, and scores where it has any."""

    text: str
    pieces: tuple[ShownPiece, ...] = ()
    scores: tuple[ShownScore, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One sample and the value of every column."""

    sample_id: str
    turns: tuple[tuple[str, str], ...]
    """Role and text of the context."""
    response: str
    """The sample's own, empty where the columns do not need it."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One page of rows; `shared` samples have a value in every column, `differing` not the same one in all."""

    shared: int
    differing: int
    page: int
    pages: int
    rows: tuple[ReadingRow, ...]


def responders(runs: Iterable[tuple[str, Workspace]]) -> dict[str, Responder]:
    """Everyone whose responses can be read, by key: each run's models, and its samples' own where there are any."""
    found = {}
    for run, workspace in runs:
        names = reply_names(workspace)
        for name in [*names, REFERENCE] if names else []:
            responder = Responder(run, name, workspace)
            found[responder.key] = responder
    return found


def read(columns: Sequence[Column], page: int = 1, *, everything: bool = False, find: str = "") -> Reading:
    """A page of the samples that these share; without `everything` only those where they differ.

    `find` is a text that the context or a value must hold, whatever its case. Raises `UserError`.
    """
    first, *others = columns
    joined = first.frame().rename({"value": "0"})
    for place, other in enumerate(others, 1):
        joined = joined.join(other.frame().rename({"value": f"{place}"}), on="sample_id", maintain_order="left")
    shared = len(joined)
    apart = first.apart([pl.col(f"{place}") for place in range(len(columns))]) if others else pl.lit(1.0)
    joined = joined.with_columns(apart=apart)
    differing = int((joined["apart"] > 0).sum()) if others else shared
    joined = joined if everything else joined.filter(pl.col("apart") > 0)
    if first.ranked:
        joined = joined.sort("apart", descending=True, maintain_order=True)
    if find:
        joined = joined.filter(pl.Series(_holding(joined, columns, find.casefold()), dtype=pl.Boolean))
    pages = max(1, -(-len(joined) // PAGE_ROWS))
    page = min(max(1, page), pages)
    part = joined[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    texts = _texts(first, part["sample_id"].to_list())
    return Reading(
        shared, differing, page, pages, tuple(_row(row, texts, columns) for row in part.iter_rows(named=True))
    )


def _holding(joined: pl.DataFrame, columns: Sequence[Column], needle: str) -> list[bool]:
    """Which rows have a text in the context, the response or a value."""
    texts = _texts(columns[0], joined["sample_id"].to_list())
    holding = []
    for row in joined.iter_rows(named=True):
        turns, response = texts.get(row["sample_id"], ((), ""))
        values = (column.text(row[f"{place}"]) for place, column in enumerate(columns))
        holding.append(needle in "\n".join((*(text for _, text in turns), response, *values)).casefold())
    return holding


_Texts = Mapping[str, tuple[tuple[tuple[str, str], ...], str]]


def _row(row: Mapping[str, Any], texts: _Texts, columns: Sequence[Column]) -> ReadingRow:
    sample = row["sample_id"]
    values = [row[f"{place}"] for place in range(len(columns))]
    cells = tuple(column.cell(sample, value, values[0]) for column, value in zip(columns, values, strict=True))
    return ReadingRow(sample, *texts.get(sample, ((), "")), cells)


def _texts(column: Column, ids: Sequence[str]) -> _Texts:
    """By sample the turns of its context, and its response where the column needs it."""
    path = column.workspace.samples
    with error_context(f"read {path}"):
        frame = (
            pl.scan_parquet(path, glob=False)
            .select("sample_id", "context", "response")
            .filter(pl.col("sample_id").is_in(list(ids)))
            .unique("sample_id", keep="first")
            .collect()
        )
    return {
        sample: (
            tuple((turn["role"], turn["text"][:_LONGEST]) for turn in context),
            (response or "")[:_LONGEST] if column.shows_response else "",
        )
        for sample, context, response in frame.iter_rows()
    }


def choose(
    by_key: Mapping[str, Responder], requested: Sequence[str], names: Sequence[str], most: int
) -> list[Responder]:
    """The columns that are asked for; by default those of the runs `names`, in turn."""
    keys = list(requested) or [key for key, one in by_key.items() if one.run in names]
    return [by_key[key] for key in keys[:most]]
