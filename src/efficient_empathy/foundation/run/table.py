"""The run's table: what a run knows of its samples, one row a sample, joined and verified in one place.

    table = RunTable(Workspace("runs/mine"))
    table.require("scores")
    frame = table.scan(["sample_id", "category", "sensibility", "response_words"]).collect()

Nobody else joins scores or subsets to samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrected import CORRECTION_COLUMNS, CorrectedColumns
from efficient_empathy.foundation.run.corrections import CorrectionCounts, Corrections
from efficient_empathy.foundation.run.facts import FACTS, Axis
from efficient_empathy.foundation.run.parts import PartName, RunParts, readable
from efficient_empathy.foundation.run.workspace import Workspace

TEXTS = ("context", "response")
SAMPLE_COLUMNS = ("sample_id", "dialogue_id", "turn", "category", "split", "source", "side", *TEXTS)
"""What `samples.parquet` says; `turn`, `category`, `split` and `source` are facts too, and read as those."""
SCORE_COLUMNS = ("state", "judgements", "disagreement", "answered_by", "dependence")
"""What `scores.parquet` says besides the axes and what belongs to each axis."""
SELECTION_COLUMNS = ("subset", "reason")
"""What the selection says besides the probability of each subset, `p_SUBSET`."""
UNSCORED = "unscored"
"""The subset of rows without scores; no policy may call one of its own subsets so."""
STD, PROBABILITIES, ODDS = "_std", "_probabilities", "p_"
"""How the columns of an axis and of a subset are named: `AXIS_std`, `AXIS_probabilities`, `p_SUBSET`."""
_WRITTEN = ("row", "dialogue", "messages", "prompt", "completion")
RESERVED = frozenset({*SAMPLE_COLUMNS, *SCORE_COLUMNS, *SELECTION_COLUMNS, *CORRECTION_COLUMNS, *FACTS, *_WRITTEN})
"""Names that no axis of a rubric may have."""


class RunTable(RunParts):
    """The samples of one run ⊕ scores ⊕ distributions ⊕ subset and reason ⊕ corrections ⊕ facts, lazily.

    Opening it reads no rows. A part that is stale or missing has no columns here; `require` raises its sentence. Rows
    stand in the order of `samples.parquet`. A score that a person set stands in place of the judge's, unless the table
    is to be `as_judged`.
    """

    def __init__(self, workspace: Workspace, *, as_judged: bool = False) -> None:
        super().__init__(workspace)
        self.as_judged = as_judged
        self.name = workspace.root.resolve().name

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the rubric that the run was scored by, in its order; none without current scores."""
        if self.scoring is None or not self.scores.current:
            return ()
        return tuple(Axis(name, low, high) for name, (low, high) in self.scoring.rubric.axes.items())

    def count_corrections(self) -> CorrectionCounts:
        """How many of the samples people have corrected."""
        if not self.said.standing or not self.samples.current:
            return CorrectionCounts()
        ids = self._frame("samples").select("sample_id").filter(pl.col("sample_id").is_in([*self.said.standing]))
        with readable(self.workspace.samples):
            present = ids.collect(engine="streaming")["sample_id"].to_list()
        return self.said.count(present, {axis.name: (axis.low, axis.high) for axis in self.axes})

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The names of `axes`."""
        return tuple(axis.name for axis in self.axes)

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets of the selection as they are shown, without `unscored`; none without a current selection."""
        return tuple(self.selecting.subsets) if self.selecting and self.selection.current else ()

    @property
    def otherwise(self) -> str | None:
        """The subset that the selection leaves out; None without a current selection."""
        return self.selecting.otherwise if self.selecting and self.selection.current else None

    @cached_property
    def columns(self) -> list[str]:
        """All that `scan` can give now."""
        names = ["row", *SAMPLE_COLUMNS, *(name for name in FACTS if name not in SAMPLE_COLUMNS)]
        for name in ("scores", "selection"):
            names += [c for c in self._schema(name) if c not in names]
        return names + self._corrected.names

    @property
    def scored(self) -> pl.Expr:
        """Where a row has a finite score on every axis, and its state is ok."""
        return scored_on(self.axis_names)

    @property
    def count(self) -> int:
        """The number of samples."""
        rows: int = self._frame("samples").select(pl.len()).collect().item()
        return rows

    def has_distributions(self, *axes: str) -> bool:
        """Whether the judge gave distributions on these axes (all of the rubric's if none is named)."""
        names = axes or self.axis_names
        return bool(names) and {f"{axis}{PROBABILITIES}" for axis in names} <= set(self._schema("scores"))

    def scan(self, columns: Iterable[str] | None = None) -> pl.LazyFrame:
        """The rows, lazily, with these `columns` in this order; all but costly facts and texts if none are named.

        Only the files that have one of the columns are opened. Scores are null unless the row's state is ok. Raises
        `UserError` for a column of a part that is not current, and for one that there is not.
        """
        column_names = (
            list(columns) if columns is not None else [c for c in self.columns if c not in (*TEXTS, "language")]
        )
        if unknown := [column for column in column_names if column not in self.columns]:
            raise UserError(self._explain_unknown(unknown[0]))
        sources: dict[str, list[str]] = {}
        for column in column_names:
            if column != "row":
                sources.setdefault(self._source(column), []).append(column)
        if not sources:
            sources["samples"] = []
        frames = [self._select(name, names) for name, names in sources.items()]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="horizontal")
        if "row" in column_names:
            frame = frame.with_row_index("row")
        return frame.select(column_names)

    def read(self, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """`scan`, collected. Raises `UserError` also where a file cannot be read."""
        with readable(self.workspace.root):
            return self.scan(columns).collect(engine="streaming")

    def _select(self, name: str, columns: Sequence[str]) -> pl.LazyFrame:
        if name == "samples":
            return self._frame("samples").select(
                *([pl.col("sample_id").alias("_id")] if not columns else []),
                *(FACTS[c].expression.alias(c) if c in FACTS else pl.col(c) for c in columns),
            )
        if name == "selection":
            return self._frame("selection").select(
                pl.col(c).cast(pl.String) if c == "subset" else pl.col(c) for c in columns
            )
        if name == "corrections":
            return self._frame("samples").select(self._corrected.own(c).alias(c) for c in columns)
        return self._frame("scores").select(self._corrected.judged(c).alias(c) for c in columns)

    @cached_property
    def _corrected(self) -> CorrectedColumns:
        return CorrectedColumns(Corrections() if self.as_judged else self.said, self.axes, STD, PROBABILITIES)

    def _source(self, column: str) -> str:
        if column in CORRECTION_COLUMNS:
            return "corrections"
        if column in SAMPLE_COLUMNS or column in FACTS:
            return "samples"
        if column.startswith(ODDS) and column in self._schema("selection"):
            return "selection"
        return "scores" if column in self._schema("scores") else "selection"

    def _explain_unknown(self, column: str) -> str:
        """Why there is no such column."""
        belongs: PartName | None = None
        if column in SELECTION_COLUMNS or column.startswith(ODDS):
            belongs = "selection"
        elif column in CORRECTION_COLUMNS and not self.said.history:
            belongs = "corrections"
        elif column in SCORE_COLUMNS or not self.scores.current:
            belongs = "scores"
        if belongs and not self.part(belongs).current:
            return self.part(belongs).sentence
        return f"the run {self.workspace.root} has no column {column!r}: there are {', '.join(self.columns)}"

    def _schema(self, name: str) -> list[str]:
        if not self.part(name).current:  # type: ignore[arg-type]
            return []
        return [c for c in self._frame(name).collect_schema().names() if c not in SAMPLE_COLUMNS]


def scored_on(axes: Iterable[str]) -> pl.Expr:
    """Where a row has a finite score on each of these axes, and its state is ok."""
    finite = (pl.col(axis).cast(pl.Float32).is_finite().fill_null(False) for axis in axes)
    return pl.all_horizontal(pl.col("state").eq_missing(pl.lit("ok")), *finite)
