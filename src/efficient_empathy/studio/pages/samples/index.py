"""The samples of a run: an index in memory to filter, count and sort by, and texts that are read as they are shown."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrected import CORRECTED_BY, LISTS, TAGS
from efficient_empathy.foundation.run.facts import Axis
from efficient_empathy.foundation.run.parts import readable
from efficient_empathy.foundation.run.table import ODDS, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.selection.stage import renewed_selection
from efficient_empathy.studio.server.selections import UNCATEGORISED

FACETS = ("subset", "category", "state", "split", "answered_by", CORRECTED_BY, TAGS)
"""The columns that a filter takes one value of; a sample may have several of `LISTS`."""
NOT_JUDGED = "unjudged"
DISAGREEMENT, CERTAINTY = "disagreement", "certainty"
MOST_CELLS = 2601
"""Cells that a map is drawn with."""
_MOST_INDEXES = 4
"""Indexes in memory, one a run."""


def score_column(axis: str) -> str:
    """The column of an axis in an index, whatever the axis is called; the same stands for it in a query."""
    return f"score.{axis}"


def level_column(axis: str) -> str:
    """The column of an axis's nearest whole score, as a position on its scale."""
    return f"level.{axis}"


@dataclass(frozen=True, slots=True)
class SampleIndex:
    """One row a sample, in the order of the run's table.

    Where people have corrected samples since the last selection, `renewed` has what `select` would write now, and the
    subsets are those.

    Columns: those of `FACETS` (null where the run does not have it), `score.AXIS` and `level.AXIS` for each axis of the
    rubric, `disagreement` where several judgements were pooled, `certainty` (the probability of the most probable
    subset) where the selection has probabilities.
    """

    table: RunTable
    frame: pl.DataFrame
    renewed: pl.DataFrame | None = None

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets of the selection, without `unscored`; none where nothing was selected."""
        if self.renewed is not None and self.table.selecting is not None:
            return tuple(self.table.selecting.subsets)
        return self.table.subsets

    @property
    def workspace(self) -> Workspace:
        """The run's folder."""
        return self.table.workspace

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The rubric's axes; none where there are no scores that can be shown."""
        return self.table.axes

    def values(self, facet: str) -> list[str]:
        """Every value of a column of `FACETS`, sorted."""
        kind = self.frame.schema[facet]
        if facet in LISTS:
            return self.frame[facet].drop_nulls().explode().unique().sort().to_list()
        return kind.categories.to_list() if isinstance(kind, pl.Enum) else []

    def pair(self, right: str, up: str) -> tuple[Axis, Axis | None] | None:
        """The axes of the map: those that are named, by default the second and the first; None where none is drawn."""
        if not self.axes:
            return None
        by_name = {axis.name: axis for axis in self.axes}
        if len(by_name) == 1:
            pair: tuple[Axis, Axis | None] = (self.axes[0], None)
        else:
            above = by_name.get(up) or next(axis for axis in self.axes if axis.name != right)
            beside = by_name.get(right)
            if beside is None or beside == above:
                beside = next(axis for axis in self.axes if axis != above)
            pair = (beside, above)
        cells = len(pair[0].values) * (len(pair[1].values) if pair[1] else 1)
        return pair if cells <= MOST_CELLS else None


class Indexes:
    """The index of each run, made once for as long as its files are the same."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[Path, SampleIndex] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, table: RunTable) -> SampleIndex:
        """The run's index. Raises `UserError` where there are no samples, or files that cannot be read."""
        root = table.workspace.root
        with self._lock:
            index = self._indexes.get(root)
            if index is None or index.table.signature != table.signature:
                index = self._indexes[root] = make_index(table)
                while len(self._indexes) > _MOST_INDEXES:
                    self._indexes.popitem(last=False)
            self._indexes.move_to_end(root)
            return index


def make_index(table: RunTable) -> SampleIndex:
    """Read a run's columns, but for the texts; those of a part that is not current are left out."""
    table.require("samples")
    own = [c for c in (*FACETS, DISAGREEMENT) if c in table.columns]
    odds = [c for c in table.columns if c.startswith(ODDS) and c.removeprefix(ODDS) in table.subsets]
    with readable(table.workspace.root):
        frame = table.scan([*own, *table.axis_names, *odds]).collect(engine="streaming")
        renewed = renewed_selection(table)
    if renewed is not None:
        own, odds = [*own, "subset"], [c for c in renewed.columns if c.startswith(ODDS)]
        frame = pl.concat([frame, renewed.select("subset", *odds)], how="horizontal")
    columns = [_or_null(c, c in own) for c in FACETS if c != "state"]
    state = pl.col("state").fill_null(NOT_JUDGED) if "state" in own else pl.lit(NOT_JUDGED)
    columns.append(state.alias("state"))
    for axis in table.axes:
        columns.append(pl.col(axis.name).cast(pl.Float32).alias(score_column(axis.name)))
        columns.append(axis.level().cast(pl.UInt16).alias(level_column(axis.name)))
    if DISAGREEMENT in own:
        columns.append(pl.col(DISAGREEMENT).cast(pl.Float32))
    if odds:
        columns.append(pl.max_horizontal(pl.col(odds).cast(pl.Float32)).alias(CERTAINTY))
    rows = frame.select(columns).with_columns(pl.col("category").fill_null(UNCATEGORISED))
    enums = (_as_enum(rows[name]) for name in FACETS if name not in LISTS)
    return SampleIndex(table, rows.with_columns(enums).rechunk(), renewed)


def _or_null(name: str, is_there: bool) -> pl.Expr:
    kind = pl.List(pl.String) if name in LISTS else pl.String()
    return pl.col(name) if is_there else pl.lit(None, kind).alias(name)


def _as_enum(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).cast(pl.Enum(column.cast(pl.String).drop_nulls().unique().sort().to_list()))


PREVIEW = 240
"""Characters of a text in the list."""
CLIP = 4_000
"""Characters of a text that are sent unless the whole is asked for."""
WHOLE = 4_000_000
"""Characters of a text that is asked for as a whole."""
TURNS = 30
"""Turns of a dialogue that are sent at once, the last ones first."""
_GAP = 64
"""Rows that are closer than this are read together."""
_READ_BYTES = 4 * 2**20
_FEWEST, _MOST = 200, 5_000
"""Rows that the search reads at once."""


class Texts:
    """The texts of a run's samples by row number. None is kept; where they cannot be read it raises `UserError`."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.samples
        self._rows_at_once = _FEWEST

    def previews(self, rows: Sequence[int], text: str = "") -> dict[int, dict[str, Any]]:
        """By row: `sample_id`, `turn`, the number of `turns`, and the beginnings of the last turn and the response.

        With a `text` that is searched for, the turn is the last that has it, and both begin shortly before it.
        """
        last = pl.col("context").list.last().struct.field("text")
        if text:
            turns = pl.col("context").list.eval(pl.element().struct.field("text"))
            hit = turns.list.eval(pl.element().filter(pl.element().str.contains(_pattern(text)))).list.last()
            last = pl.coalesce(hit, last)
        columns: list[str | pl.Expr] = [
            "sample_id",
            "turn",
            pl.col("context").list.len().alias("turns"),
            _beginning(last, text).alias("last"),
            _beginning(pl.col("response"), text).alias("response"),
            pl.col("response").str.len_chars().alias("length"),
        ]
        previews: dict[int, dict[str, Any]] = {}
        for first, count in _stretches(sorted(set(rows))):
            previews |= dict(enumerate(self._read(first, count, *columns).iter_rows(named=True), first))
        return {row: previews[row] for row in rows if row in previews}

    def sample(self, row: int) -> dict[str, Any]:
        """A sample with the last turns of its dialogue, texts clipped; `context.first` counts what comes before."""
        values = self._one(row, pl.exclude("context"), *_turns(None))
        context = {"total": values.pop("total"), "first": values.pop("first"), "turns": values.pop("turns")}
        return {**values, "response": clip_text(values["response"]), "context": _clip_turns(context)}

    def turns(self, row: int, end: int) -> dict[str, Any]:
        """The turns of a dialogue before the one at `end`, texts clipped: `{total, first, turns}`."""
        return _clip_turns(self._one(row, *_turns(end)))

    def whole(self, row: int, turn: int | None) -> str:
        """The text of a turn, or of the response, as long as it may be."""
        text = (
            pl.col("response")
            if turn is None
            else pl.col("context").list.get(turn, null_on_oob=True).struct.field("text")
        )
        values = self._one(row, text.str.slice(0, WHOLE).alias("text"))
        return values["text"] or ""

    def row_of(self, sample_id: str) -> int | None:
        """The first row of a sample; None where the run does not have it."""
        with readable(self._path):
            ids = pl.scan_parquet(self._path, glob=False, row_index_name="row").filter(pl.col("sample_id") == sample_id)
            row = ids.select(pl.col("row").min()).collect(engine="streaming").item()
        return None if row is None else int(row)

    def matches(self, first: int, text: str) -> npt.NDArray[np.bool_]:
        """Look for `text` in the rows from `first` on, whatever its case: for some of them, whether they have it."""
        stop = min(first + self._rows_at_once, (first // _MOST + 1) * _MOST)  # not past a row group's end
        pattern = _pattern(text)
        frame = self._read(first, stop - first, "context", "response")
        turns = frame.select("context").with_row_index("at").explode("context")
        texts = turns["context"].struct.field("text")
        hits = frame["response"].str.contains(pattern).fill_null(False).to_numpy().copy()
        hits[turns["at"].filter(texts.str.contains(pattern).fill_null(False)).to_numpy()] = True
        size = int(frame["response"].str.len_bytes().sum()) + int(texts.str.len_bytes().sum())
        self._rows_at_once = max(_FEWEST, min(_MOST, len(frame) * _READ_BYTES // max(1, size)))
        found: npt.NDArray[np.bool_] = hits
        return found

    def _one(self, row: int, *columns: str | pl.Expr) -> dict[str, Any]:
        frame = self._read(row, 1, *columns)
        if frame.is_empty():
            raise UserError(f"the run has no sample in row {row:,}")
        return frame.row(0, named=True)

    def _read(self, first: int, count: int, *columns: str | pl.Expr) -> pl.DataFrame:
        with readable(self._path):
            return pl.scan_parquet(self._path, glob=False).slice(first, count).select(*columns).collect()


BEFORE = 20
"""Characters before what is searched for."""


def _pattern(text: str) -> str:
    return f"(?i){pl.escape_regex(text)}"


def _beginning(column: pl.Expr, text: str) -> pl.Expr:
    """The beginning of a text; of one that has what is searched for beyond its first words, what is around that."""
    if not text:
        return column.str.slice(0, PREVIEW)
    at = column.str.extract(f"(?s)^(.*?)(?:{_pattern(text)})").str.len_chars().fill_null(0).cast(pl.Int64)
    around = pl.concat_str(pl.lit("… "), column.str.slice(at - BEFORE, PREVIEW))
    return pl.when(at > BEFORE + BEFORE // 2).then(around).otherwise(column.str.slice(0, PREVIEW))


def clip_text(text: str, limit: int = CLIP) -> dict[str, Any]:
    """A text's beginning and its whole length, in characters."""
    return {"text": text[:limit], "length": len(text)}


def _turns(end: int | None) -> list[pl.Expr]:
    """The turns before `end`, or the last ones."""
    total = pl.col("context").list.len().cast(pl.Int64)
    stop = total if end is None else pl.min_horizontal(total, pl.lit(max(0, end), pl.Int64))
    first = pl.max_horizontal(stop - TURNS, pl.lit(0, pl.Int64))
    turns = pl.col("context").list.slice(first, stop - first)
    return [total.alias("total"), first.alias("first"), turns.alias("turns")]


def _clip_turns(context: dict[str, Any]) -> dict[str, Any]:
    turns = [{"role": turn["role"], **clip_text(turn["text"])} for turn in context["turns"]]
    return {**context, "turns": turns}


def _stretches(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each read that `rows`, ascending, take."""
    start = previous = None
    for row in rows:
        if start is None or previous is None:
            start = row
        elif row - previous > _GAP:
            yield start, previous - start + 1
            start = row
        previous = row
    if start is not None and previous is not None:
        yield start, previous - start + 1
