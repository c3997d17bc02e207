"""The run's table: what a run knows of its samples, one row a sample, joined and verified in one place.

    table = RunTable(Workspace("runs/mine"))
    table.require("scores")
    frame = table.scan(["sample_id", "category", "sensibility", "response_words"]).collect()

Nobody else joins scores or subsets to samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import polars as pl

from efficient_empathy.foundation.errors import UserError, error_context, shell
from efficient_empathy.foundation.run.corrected import CORRECTION_COLUMNS, CorrectedColumns
from efficient_empathy.foundation.run.corrections import (
    FILE,
    MADE_WITH,
    CorrectionCounts,
    Corrections,
    read_corrections,
)
from efficient_empathy.foundation.run.facts import FACTS, Axis
from efficient_empathy.foundation.run.known_hashes import NAME as KNOWN_HASHES
from efficient_empathy.foundation.run.stages import ScoreSummary, SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace

PartName = Literal["samples", "scores", "selection", "corrections"]
PartState = Literal["current", "stale", "missing"]

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


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the table: whether it can be used, and if not, the sentence that says why and what to run."""

    state: PartState
    sentence: str = ""

    @property
    def current(self) -> bool:
        """Whether it is there and fits the samples."""
        return self.state == "current"


class RunTable:
    """The samples of one run ⊕ scores ⊕ distributions ⊕ subset and reason ⊕ corrections ⊕ facts, lazily.

    Opening it reads no rows. A part that is stale or missing has no columns here; `require` raises its sentence. Rows
    stand in the order of `samples.parquet`. A score that a person set stands in place of the judge's, unless the table
    is to be `as_judged`.
    """

    def __init__(self, workspace: Workspace, *, as_judged: bool = False) -> None:
        self.workspace = workspace
        self.as_judged = as_judged
        self.name = workspace.root.resolve().name
        self.signature = signature(workspace)
        """Changes when one of the files that the table is made of is written anew."""
        self.scoring: ScoreSummary | None = None
        """The manifest's record of the scoring, None where there is none that can be read."""
        self.selecting: SelectRecord | None = None
        """The manifest's record of the selection, None where there is none that can be read."""
        self.said = Corrections()
        """What people say of the samples."""
        self.outdated = False
        """Whether the selection is stale for nothing but what people have corrected since."""
        self._frames: dict[str, pl.LazyFrame] = {}
        self._scoring_fault = self._read_scoring()
        self.corrections = self._corrections_part()
        self.samples = self._samples_part()
        self.scores = self._scores_part()
        self.selection = self._selection_part()

    def part(self, name: PartName) -> Part:
        """One part by its name."""
        part: Part = getattr(self, name)
        return part

    def require(self, *names: PartName) -> RunTable:
        """The table itself. Raises `UserError` unless all these parts are current."""
        for name in names:
            if not (part := self.part(name)).current:
                raise UserError(part.sentence)
        return self

    @property
    def notes(self) -> list[str]:
        """The sentences of the parts that are not current, each said once; a run needs no corrections."""
        parts = [self.samples, self.scores, self.selection]
        parts += [self.corrections] if self.corrections.state == "stale" else []
        return list(dict.fromkeys(part.sentence for part in parts if part.sentence))

    @cached_property
    def version(self) -> str:
        """Sixteen hexadecimal digits that change with `signature`."""
        return hashlib.sha256(repr(self.signature).encode()).hexdigest()[:16]

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the rubric that the run was scored by, in its order; none without current scores."""
        if self.scoring is None or not self.scores.current:
            return ()
        return tuple(Axis(name, low, high) for name, (low, high) in self.scoring.rubric.axes.items())

    @property
    def decision_inputs(self) -> dict[str, str]:
        """SHA-256 by file of all that decides on the samples: them, their scores, what people say of both."""
        hashes = self.workspace.hashes([self.workspace.scores, self.workspace.samples])
        return {**hashes, FILE: self.said.digest} if self.said.digest else hashes

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

    def _frame(self, name: str) -> pl.LazyFrame:
        if name not in self._frames:
            path = {
                "samples": self.workspace.samples,
                "scores": self.workspace.scores,
                "selection": self.workspace.assignments,
            }[name]
            frame = pl.scan_parquet(path, glob=False)
            with readable(path):
                frame.collect_schema()
            self._frames[name] = frame
        return self._frames[name]

    def _read_scoring(self) -> str:
        """Set `scoring`; the sentence that says why there is none."""
        self.workspace.manifest()
        try:
            self.scoring = self.workspace.stage(ScoreSummary.STAGE, ScoreSummary)
        except UserError as error:
            return str(error)
        about = f"{self.workspace.manifest_path} does not say what {self.workspace.scores.name} is"
        return "" if self.scoring else f"{about}: {self._rerun('score SOURCE')}"

    def _corrections_part(self) -> Part:
        """Set `said`; whether there are any."""
        try:
            self.said = read_corrections(self.workspace.corrections)
        except UserError as error:
            return Part("stale", str(error))
        at = self.workspace.root
        return Part("current") if self.said.history else Part("missing", f"nobody has corrected {at}: run {MADE_WITH}")

    def _samples_part(self) -> Part:
        return self._file_part("samples", self.workspace.samples, "score SOURCE")

    def _scores_part(self) -> Part:
        if not self.samples.current:
            return Part("missing" if not self.workspace.scores.exists() else "stale", self.samples.sentence)
        part = self._file_part("scores", self.workspace.scores, "score SOURCE")
        if not part.current:
            return part
        if self.scoring is None:
            return Part("stale", self._scoring_fault)
        if self.corrections.state == "stale":
            return self.corrections
        return self._compare_samples("scores", self.scoring.inputs, "score SOURCE")

    def _selection_part(self) -> Part:
        if not self.scores.current:
            return Part("missing" if not self.workspace.assignments.exists() else "stale", self.scores.sentence)
        part = self._file_part("selection", self.workspace.assignments, "select")
        if not part.current:
            return part
        try:
            self.selecting = self.workspace.stage(SelectRecord.STAGE, SelectRecord)
        except UserError as error:
            return Part("stale", str(error))
        inputs = self.selecting.inputs if self.selecting else {}
        if any(
            inputs.get(f.name) != self.workspace.hash_of(f) for f in (self.workspace.scores, self.workspace.samples)
        ):
            return Part("stale", f"{self.workspace.assignments} was made from earlier scores: {self._rerun('select')}")
        if inputs.get(FILE, "") != self.said.digest:
            self.outdated = self._compare_samples("selection", inputs, "select").current
            said = f"{self.workspace.assignments} was made before people's last corrections"
            return Part("stale", f"{said}: {self._rerun('select')}")
        return self._compare_samples("selection", inputs, "select")

    def _file_part(self, name: str, path: Path, stage: str) -> Part:
        if not path.exists():
            return Part(
                "missing", f"{path} is missing: run `efficient-empathy {stage} --run {shell(self.workspace.root)}`"
            )
        if fault := self.workspace.fault(path):
            return Part("stale", f"{path} {fault}: {self._rerun(stage)}")
        try:
            self._frame(name)
        except UserError as error:
            return Part("stale", f"{error}: {self._rerun(stage)}")
        return Part("current")

    def _compare_samples(self, name: str, inputs: Mapping[str, str], stage: str) -> Part:
        """Whether a part's rows are those of the samples.

        A file that a stage has finished is known by the hash of the samples that went into it; of any other, every id
        is compared in its place.
        """
        path = {"scores": self.workspace.scores, "selection": self.workspace.assignments}[name]
        if self.workspace.recorded_hash(path) and inputs.get(self.workspace.samples.name) == self.workspace.hash_of(
            self.workspace.samples
        ):
            return Part("current")
        samples, others = self._frame("samples"), self._frame(name)
        with readable(path):
            rows, sample_rows = (frame.select(pl.len()).collect().item() for frame in (others, samples))
            same = rows == sample_rows and _same_ids(samples, others)
        if same:
            return Part("current")
        counts = f" ({rows:,} rows, {sample_rows:,} samples)" if rows != sample_rows else ""
        return Part(
            "stale", f"{path} is about other samples than {self.workspace.samples.name}{counts}: {self._rerun(stage)}"
        )

    def _rerun(self, stage: str) -> str:
        return f"run `efficient-empathy {stage} --run {shell(self.workspace.root)}` again"


def scored_on(axes: Iterable[str]) -> pl.Expr:
    """Where a row has a finite score on each of these axes, and its state is ok."""
    finite = (pl.col(axis).cast(pl.Float32).is_finite().fill_null(False) for axis in axes)
    return pl.all_horizontal(pl.col("state").eq_missing(pl.lit("ok")), *finite)


def signature(workspace: Workspace) -> tuple[object, ...]:
    """What changes when one of the files that the table is made of is written anew; it reads none of them."""
    own = (workspace.samples, workspace.scores, workspace.assignments, workspace.corrections)
    paths = (*own, workspace.manifest_path, workspace.root / KNOWN_HASHES)
    return tuple(_stamp(path) for path in paths)


def readable(path: Path) -> AbstractContextManager[None]:
    """What polars or the system raises in here, as a `UserError` that names the file."""
    return error_context(f"read {path}")


def _same_ids(samples: pl.LazyFrame, others: pl.LazyFrame) -> bool:
    ids = [samples.select("sample_id"), others.select(pl.col("sample_id").alias("other"))]
    same = pl.concat(ids, how="horizontal").select(pl.col("sample_id").eq_missing(pl.col("other")).all())
    return bool(same.collect(engine="streaming").item())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
