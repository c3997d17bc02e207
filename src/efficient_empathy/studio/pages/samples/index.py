"""What the list of samples is filtered, counted and sorted by: one short row a sample, in memory, without its text."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError
from starlette.exceptions import HTTPException

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, file_hash
from efficient_empathy.scoring.scores import same_ids
from efficient_empathy.selection.columns import ANSWERED_BY, AXES, axes_of
from efficient_empathy.selection.scored_run import UNCATEGORISED

FACETS = ("subset", "category", "state", "split", ANSWERED_BY)
"""The columns that a filter takes one value of."""
UNJUDGED = "unjudged"
SCALE = 11
"""Whole scores 0–10 on both axes of the map."""
_HELD = 4
"""Indexes in memory, one a run."""
_TRIES = 3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SampleIndex:
    """One row a sample, in the order of `samples.parquet`.

    Columns: those of `FACETS` (null where the run does not tell), each axis of the rubric, `s` and `r` (the cell of
    the map), `disagreement` where several judgements were pooled, `certainty` (the probability of the most probable
    subset) where the judge gave distributions. `scales` has the lowest and highest score of each axis. `notes` say in
    words what is missing or does not fit. `version` changes with the samples, the scores or the selection.
    """

    workspace: Workspace
    key: tuple[object, ...]
    version: str
    frame: pl.DataFrame
    axes: tuple[str, ...]
    scales: dict[str, tuple[float, float]]
    scored: bool
    selected: bool
    notes: tuple[str, ...]

    @property
    def mapped(self) -> bool:
        """Whether there is a map of sensibility and rationality, 0–10 each."""
        return {"s", "r"} <= set(self.frame.columns)

    def values(self, facet: str) -> list[str]:
        """Every value of a column of `FACETS`, sorted."""
        kind = self.frame.schema[facet]
        return kind.categories.to_list() if isinstance(kind, pl.Enum) else []


@dataclass
class Indexes:
    """The index of each run, made once for as long as its files are the same."""

    _found: OrderedDict[Path, SampleIndex] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, workspace: Workspace) -> SampleIndex:
        """The run's index. Raises `UserError` where there are no samples, or files that cannot be read."""
        with self._lock:
            known = self._found.get(workspace.root)
            if known is None or known.key != signature(workspace):
                known = self._found[workspace.root] = make_index(workspace)
                while len(self._found) > _HELD:
                    self._found.popitem(last=False)
            self._found.move_to_end(workspace.root)
            return known

    def steady(self, workspace: Workspace, work: Callable[[SampleIndex], T]) -> T:
        """What `work` makes of the index and of files that did not change meanwhile; it is tried three times.

        Raises `HTTPException` 409 where they change every time.
        """
        for _ in range(_TRIES):
            before = signature(workspace)
            try:
                index = self.of(workspace)
                done = work(index)
            except UserError:
                if signature(workspace) == before:
                    raise
                continue
            if signature(workspace) == index.key:
                return done
        raise HTTPException(409, "The run's files are being written right now: try again in a moment.")


def signature(workspace: Workspace) -> tuple[object, ...]:
    """What changes when one of the files that the index is made from is written anew."""
    return _stamps(workspace.samples, workspace.scores, workspace.assignments, workspace.manifest_path)


def make_index(workspace: Workspace) -> SampleIndex:
    """Read a run's columns, but for the texts.

    Scores and subsets that are of other samples are left out, and a note says so. Raises `UserError` as `Indexes.of`.
    """
    workspace.require(workspace.samples, "score SOURCE")
    key = signature(workspace)
    told = hashlib.sha256(repr(key[:3]).encode()).hexdigest()[:16]
    notes: list[str] = []
    with readable(workspace.samples):
        samples = pl.scan_parquet(workspace.samples, glob=False)
        columns = samples.select(
            pl.col("category").str.strip_chars().replace("", None).fill_null(UNCATEGORISED), "split"
        ).collect(engine="streaming")
    scores = _scores(workspace, samples, notes)
    axes = tuple(axes_of(scores.columns)) if scores is not None else ()
    if scores is None:
        state = pl.repeat(UNJUDGED, len(columns), eager=True).alias("state")
        scores = pl.DataFrame({"state": state})
    subsets = _subsets(workspace, samples, notes) if axes else None
    frame = pl.concat([columns, _told(scores, axes), *([subsets] if subsets is not None else [])], how="horizontal")
    scales = _scales(workspace, axes, frame)
    frame = _finished(frame, mapped=[scales.get(axis) for axis in AXES] == [(0, 10), (0, 10)])
    return SampleIndex(
        workspace, key, told, frame, axes, scales, scored=bool(axes), selected=subsets is not None, notes=tuple(notes)
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tell what polars raises in one sentence."""
    try:
        yield
    except (PolarsError, PanicException, OSError) as error:
        reason = f"{error}".splitlines()[0] if f"{error}" else type(error).__name__
        raise UserError(
            f"{path.name} cannot be read ({reason}): if the run is not being written now, make it again"
        ) from error


def _stamps(*paths: Path) -> tuple[object, ...]:
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _scores(workspace: Workspace, samples: pl.LazyFrame, notes: list[str]) -> pl.DataFrame | None:
    """State, axes, disagreement, who answered and probabilities of subsets; None where there are none of these rows."""
    if not workspace.scores.exists():
        notes.append(
            "There are no scores yet: `efficient-empathy score` writes them when it ends. "
            "What has been judged so far is under each sample."
        )
        return None
    with readable(workspace.scores):
        scores = pl.scan_parquet(workspace.scores, glob=False)
        if not same_ids(samples, scores):
            notes.append("The scores are of other samples, so they are not shown: run `efficient-empathy score` again.")
            return None
        if fault := workspace.fault(workspace.scores):
            notes.append(f"scores.parquet {fault}, so no score is shown: run `efficient-empathy score` again.")
            return None
        names = scores.collect_schema().names()
        kept = [n for n in names if n in ("state", "disagreement", ANSWERED_BY) or _is_odds(n)]
        return scores.select(*kept, *axes_of(names)).collect(engine="streaming")


def _subsets(workspace: Workspace, samples: pl.LazyFrame, notes: list[str]) -> pl.DataFrame | None:
    """The subset of every sample, and the policy's own probabilities as `_p_…`; None where nothing is selected."""
    if not workspace.assignments.exists():
        notes.append("Nothing is selected yet: `efficient-empathy select` gives every sample its subset.")
        return None
    with readable(workspace.assignments):
        assigned = pl.scan_parquet(workspace.assignments, glob=False)
        if not same_ids(samples, assigned):
            notes.append("The selection is of other samples, so it is not shown: run `efficient-empathy select` again.")
            return None
        if fault := workspace.fault(workspace.assignments):
            notes.append(f"assignments.parquet {fault}, so no subset is shown: run `efficient-empathy select` again.")
            return None
        odds = [name for name in assigned.collect_schema().names() if _is_odds(name)]
        found = assigned.select(
            pl.col("subset").cast(pl.String), *(pl.col(name).alias(f"_{name}") for name in odds)
        ).collect(engine="streaming")
    inputs = workspace.stage("select").get("inputs", {})
    if any(inputs.get(path.name) != file_hash(path) for path in (workspace.scores, workspace.samples)):
        notes.append("The selection was made from earlier scores: `efficient-empathy select` brings it up to date.")
    return found


def _is_odds(name: str) -> bool:
    return name.startswith("p_")


def _told(scores: pl.DataFrame, axes: Sequence[str]) -> pl.DataFrame:
    """Scores that are numbers, on rows that are ok; the state of the others."""
    ok = pl.col("state").eq_missing(pl.lit("ok"))
    finite = (
        pl.when(ok & pl.col(axis).cast(pl.Float32).is_finite()).then(pl.col(axis).cast(pl.Float32)) for axis in axes
    )
    return scores.with_columns(
        pl.col("state").fill_null(UNJUDGED), *(score.alias(axis) for score, axis in zip(finite, axes, strict=True))
    )


def _scales(workspace: Workspace, axes: Sequence[str], frame: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """As the manifest has them; else 0–10 for our axes, and for others the scores' own range."""
    written = workspace.stage("score").get("rubric", {}).get("axes", {})
    found: dict[str, tuple[float, float]] = {}
    for axis in axes:
        low, high = frame.select(pl.col(axis).min().alias("low"), pl.col(axis).max().alias("high")).row(0)
        given = (0.0, 10.0) if axis in AXES else (math.floor(low or 0), math.ceil(high if high is not None else 1))
        found[axis] = tuple(written[axis]) if axis in written else given
    return found


def _finished(frame: pl.DataFrame, *, mapped: bool) -> pl.DataFrame:
    """With cells and the certainty, names as small numbers, and nothing else."""
    odds = [n for n in frame.columns if n.startswith("_p_")] or [n for n in frame.columns if _is_odds(n)]
    added: list[pl.Expr] = []
    if mapped:
        whole = [pl.col(axis).round().clip(0, SCALE - 1).cast(pl.UInt8) for axis in AXES]
        both = pl.all_horizontal(pl.col(axis).is_not_null() for axis in AXES)
        added += [pl.when(both).then(cell).alias(name) for cell, name in zip(whole, ("s", "r"), strict=True)]
    if odds:
        added.append(pl.max_horizontal(pl.col(odds).cast(pl.Float32)).alias("certainty"))
    absent = [pl.lit(None, pl.String).alias(name) for name in FACETS if name not in frame.columns]
    frame = frame.with_columns(*added, *absent).drop([n for n in frame.columns if n.startswith("_p_") or _is_odds(n)])
    if "disagreement" in frame.columns:
        frame = frame.with_columns(pl.col("disagreement").cast(pl.Float32))
    return frame.with_columns(_as_enum(frame[name]) for name in FACETS).rechunk()


def _as_enum(column: pl.Series) -> pl.Series:
    names: list[Any] = column.drop_nulls().unique().sort().to_list()
    return column.cast(pl.Enum(names))
