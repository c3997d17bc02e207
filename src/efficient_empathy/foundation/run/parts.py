"""What of a run is current: its samples, scores, selection and corrections, each made of the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import polars as pl

from efficient_empathy.foundation.errors import UserError, error_context, shell
from efficient_empathy.foundation.run.corrections import FILE, MADE_WITH, Corrections, read_corrections
from efficient_empathy.foundation.run.known_hashes import NAME as KNOWN_HASHES
from efficient_empathy.foundation.run.stages import ScoreSummary, SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace

PartName = Literal["samples", "scores", "selection", "corrections"]
PartState = Literal["current", "stale", "missing"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run: whether it can be used, and if not, the sentence that says why and what to run."""

    state: PartState
    sentence: str = ""

    @property
    def current(self) -> bool:
        """Whether it is there and fits the samples."""
        return self.state == "current"


class RunParts:
    """The parts of one run, and what the manifest and people say of them. Opening it reads no rows."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
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

    def require(self, *names: PartName) -> Self:
        """This itself. Raises `UserError` unless all these parts are current."""
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

    @property
    def decision_inputs(self) -> dict[str, str]:
        """SHA-256 by file of all that decides on the samples: them, their scores, what people say of both."""
        hashes = self.workspace.hashes([self.workspace.scores, self.workspace.samples])
        return {**hashes, FILE: self.said.digest} if self.said.digest else hashes

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


def signature(workspace: Workspace) -> tuple[object, ...]:
    """What changes when one of the files that a run's parts are made of is written anew; it reads none of them."""
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
