"""Responses to read side by side: contexts down, models across, and what a reader thought of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from efficient_empathy.evaluation.ratings.design import REFERENCE
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.replies import reply_names, require_replies
from efficient_empathy.prompts.compare.comparison import ShownPiece, shown_pieces, word_diff

PAGE_ROWS = 20
_LONGEST = 4000


@dataclass(frozen=True)
class Responder:
    """Whose responses stand in a column: a model of a run, or the samples' own responses."""

    run: str
    name: str
    workspace: Workspace

    @property
    def key(self) -> str:
        """RUN/NAME."""
        return f"{self.run}/{self.name}"

    def frame(self) -> pl.DataFrame:
        """`sample_id` and `response`, of those that it responded to. Raises `UserError` where it cannot be read."""
        path = self.workspace.samples if self.name == REFERENCE else require_replies(self.workspace, self.name)
        with error_context(f"read {path}"):
            frame = pl.read_parquet(path, columns=["sample_id", "response"], glob=False)
        return frame.drop_nulls("response").unique("sample_id", keep="first", maintain_order=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """One response: its text, and how its words differ from those of the first column."""

    text: str
    pieces: tuple[ShownPiece, ...]


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One context and the response of every column."""

    sample_id: str
    turns: tuple[tuple[str, str], ...]
    """Role and text."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One page of rows; `shared` samples have a response of every column, `differing` not the same one of all."""

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


def read(columns: Sequence[Responder], page: int = 1, *, everything: bool = False, find: str = "") -> Reading:
    """A page of what these responded to the samples that they share; without `everything` only where they differ.

    `find` is a text that context or a response must hold, whatever its case. Raises `UserError`.
    """
    first, *others = columns
    joined = first.frame().rename({"response": "0"})
    for place, other in enumerate(others, 1):
        joined = joined.join(other.frame().rename({"response": f"{place}"}), on="sample_id", maintain_order="left")
    shared = len(joined)
    plain = [pl.col(f"{place}").str.strip_chars().str.replace_all(r"\s+", " ") for place in range(len(columns))]
    differs = pl.any_horizontal(*(plain[0] != other for other in plain[1:])) if others else pl.lit(value=True)
    joined = joined.with_columns(differs=differs)
    differing = int(joined["differs"].sum()) if others else shared
    joined = joined if everything else joined.filter("differs")
    if find:
        contexts = _contexts(first.workspace, joined["sample_id"].to_list())
        needle = find.casefold()
        texts = zip(*(joined[f"{place}"].to_list() for place in range(len(columns))), strict=True)
        holds = [
            needle in "\n".join((*(text for _, text in contexts.get(sample, ())), *responses)).casefold()
            for sample, responses in zip(joined["sample_id"], texts, strict=True)
        ]
        joined = joined.filter(pl.Series(holds, dtype=pl.Boolean))
    pages = max(1, -(-len(joined) // PAGE_ROWS))
    page = min(max(1, page), pages)
    part = joined[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    contexts = _contexts(first.workspace, part["sample_id"].to_list())
    rows = tuple(_row(row, contexts, len(columns)) for row in part.iter_rows(named=True))
    return Reading(shared, differing, page, pages, rows)


def _row(row: Mapping[str, Any], contexts: Mapping[str, tuple[tuple[str, str], ...]], count: int) -> ReadingRow:
    texts = [row[f"{place}"][:_LONGEST] for place in range(count)]
    cells = [Cell(texts[0], ())]
    cells += [Cell(text, tuple(shown_pieces(word_diff(texts[0], text)))) for text in texts[1:]]
    return ReadingRow(row["sample_id"], contexts.get(row["sample_id"], ()), tuple(cells))


def _contexts(workspace: Workspace, ids: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    with error_context(f"read {workspace.samples}"):
        frame = (
            pl.scan_parquet(workspace.samples, glob=False)
            .select("sample_id", "context")
            .filter(pl.col("sample_id").is_in(list(ids)))
            .unique("sample_id", keep="first")
            .collect()
        )
    return {
        sample: tuple((turn["role"], turn["text"][:_LONGEST]) for turn in context)
        for sample, context in frame.iter_rows()
    }


def choose(
    by_key: Mapping[str, Responder], requested: Sequence[str], names: Sequence[str], most: int
) -> list[Responder]:
    """The columns that are asked for; by default those of the runs `names`, in turn. Raises `UserError`."""
    for key in requested:
        if key not in by_key:
            raise UserError(f"there are no responses of {key[:80]!r} here: choose among {', '.join(by_key) or 'none'}")
    keys = list(dict.fromkeys(requested)) or [key for key, one in by_key.items() if one.run in names]
    return [by_key[key] for key in keys[:most]]
