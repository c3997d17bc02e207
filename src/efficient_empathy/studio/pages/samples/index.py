"""What the list of samples is filtered, counted and sorted by: one short row a sample, in memory, without its text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from efficient_empathy.foundation.run.axis import Axis
from efficient_empathy.foundation.run.table import ODDS, RunTable, readable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.server.tables import UNCATEGORISED

FACETS = ("subset", "category", "state", "split", "answered_by")
"""The columns that a filter takes one value of."""
UNJUDGED = "unjudged"
DISAGREEMENT, CERTAINTY = "disagreement", "certainty"
MOST_CELLS = 2601
"""Cells that a map is drawn with."""
_HELD = 4
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

    Columns: those of `FACETS` (null where the run does not have it), `score.AXIS` and `level.AXIS` for each axis of the
    rubric, `disagreement` where several judgements were pooled, `certainty` (the probability of the most probable
    subset) where the selection has probabilities.
    """

    table: RunTable
    frame: pl.DataFrame

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
        return kind.categories.to_list() if isinstance(kind, pl.Enum) else []

    def pair(self, right: str, up: str) -> tuple[Axis, Axis | None] | None:
        """The axes of the map: those that are named, by default the second and the first; None where none is drawn."""
        if not self.axes:
            return None
        known = {axis.name: axis for axis in self.axes}
        if len(known) == 1:
            drawn: tuple[Axis, Axis | None] = (self.axes[0], None)
        else:
            above = known.get(up) or next(axis for axis in self.axes if axis.name != right)
            beside = known.get(right)
            if beside is None or beside == above:
                beside = next(axis for axis in self.axes if axis != above)
            drawn = (beside, above)
        cells = len(drawn[0].values) * (len(drawn[1].values) if drawn[1] else 1)
        return drawn if cells <= MOST_CELLS else None


class Indexes:
    """The index of each run, made once for as long as its files are the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, SampleIndex] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, table: RunTable) -> SampleIndex:
        """The run's index. Raises `UserError` where there are no samples, or files that cannot be read."""
        root = table.workspace.root
        with self._lock:
            known = self._known.get(root)
            if known is None or known.table.signature != table.signature:
                known = self._known[root] = make_index(table)
                while len(self._known) > _HELD:
                    self._known.popitem(last=False)
            self._known.move_to_end(root)
            return known


def make_index(table: RunTable) -> SampleIndex:
    """Read a run's columns, but for the texts; those of a part that is not current are left out."""
    table.require("samples")
    odds = [c for c in table.columns if c.startswith(ODDS) and c.removeprefix(ODDS) in table.subsets]
    own = [c for c in (*FACETS, DISAGREEMENT) if c in table.columns]
    with readable(table.workspace.root):
        frame = table.scan([*own, *table.axis_names, *odds]).collect(engine="streaming")
    columns = [pl.col(c) if c in own else pl.lit(None, pl.String).alias(c) for c in FACETS if c != "state"]
    state = pl.col("state").fill_null(UNJUDGED) if "state" in own else pl.lit(UNJUDGED)
    columns.append(state.alias("state"))
    for axis in table.axes:
        columns.append(pl.col(axis.name).cast(pl.Float32).alias(score_column(axis.name)))
        columns.append(axis.level().cast(pl.UInt16).alias(level_column(axis.name)))
    if DISAGREEMENT in own:
        columns.append(pl.col(DISAGREEMENT).cast(pl.Float32))
    if odds:
        columns.append(pl.max_horizontal(pl.col(odds).cast(pl.Float32)).alias(CERTAINTY))
    told = frame.select(columns).with_columns(pl.col("category").fill_null(UNCATEGORISED))
    return SampleIndex(table, told.with_columns(_as_enum(told[name]) for name in FACETS).rechunk())


def _as_enum(column: pl.Series) -> pl.Series:
    return column.cast(pl.String).cast(pl.Enum(column.cast(pl.String).drop_nulls().unique().sort().to_list()))
