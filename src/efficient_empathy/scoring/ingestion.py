"""From a source to a run's `samples.parquet`, and what the manifest keeps of the reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import DistinctCounter, open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.dialogues.storage import sample_frames, write_frames
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic, file_hash
from efficient_empathy.foundation.run.stages import BadRowRecord, SourceRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.engine import Engine
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.record import READ, SCORE, ReadRecord, ScoreRecord

MOST_BAD_ROWS = 20


def ingest(
    source: str | Path,
    workspace: Workspace,
    reading: ReadingSettings | None = None,
    *,
    engine: Engine | None = None,
    force: bool = False,
) -> ReadRecord:
    """Read `source` into `samples.parquet` unless it holds just that still; what the manifest keeps of it.

    The run's synthetic samples, if it has any, stand behind the source's. `engine` may have its files read elsewhere.

    Raises `UserError` where judgements were lost, unless `force`: they would be paid for again.
    """
    if not force:
        _require_judgements(workspace)
    parameters = ReadingSettings.of(reading)
    stream = open_source(source, parameters)
    origin = SourceRecord(name=Path(stream.name).name, format=stream.format, digest=stream.digest())
    last = workspace.last(READ, ReadRecord)
    whole = workspace.whole(READ, workspace.samples)
    same = last is not None and last.source == origin and last.parameters == parameters
    same = same and last is not None and last.synthetic_digest == _synthetic_digest(workspace)
    if last is not None and stream.hub is None and same and whole and not force:
        return last
    frames = engine.read(stream, workspace.root.absolute()) if engine is not None else None
    rows = _Rows(sample_frames(stream) if frames is None else frames, workspace)
    with atomic(workspace.samples) as temporary:
        rows.write(temporary)
        if not rows.real:
            raise UserError(f"{source} holds no sample: {stream.intake.bad_row_count} bad rows, nothing to score")
    record = ReadRecord(
        source=origin,
        parameters=parameters,
        **rows.counts(),
        bad_rows=stream.intake.bad_row_count,
        bad_row_examples=tuple(
            BadRowRecord(place=row.place, reason=row.reason) for row in stream.intake.bad_rows[:MOST_BAD_ROWS]
        ),
        repairs=dict(stream.intake.repairs),
        skipped_files=tuple(path.name for path in stream.skipped_files),
    )
    workspace.record(READ, record, [workspace.samples])
    return record


def join_synthetic(workspace: Workspace) -> ReadRecord:
    """Put the synthetic samples that the run has now behind the source's, which are not read again.

    Raises `UserError` where the run has not read a source, or its samples are not as they were read.
    """
    workspace.require(workspace.samples, "score SOURCE")
    last = workspace.stage(READ, ReadRecord)
    if last is None:
        raise UserError(f"{workspace.root} has read no source: run `efficient-empathy score SOURCE` first")
    if last.synthetic_digest == _synthetic_digest(workspace):
        return last
    real = pl.scan_parquet(workspace.samples, glob=False).head(last.samples - last.synthetic)
    rows = _Rows(real.collect_batches(maintain_order=True, engine="streaming"), workspace)
    with atomic(workspace.samples) as temporary:
        rows.write(temporary)
    record = last.model_copy(update=rows.counts())
    workspace.record(READ, record, [workspace.samples])
    return record


class _Rows:
    """A source's samples, then the run's synthetic ones, counted as they are written."""

    def __init__(self, frames: Iterable[pl.DataFrame], workspace: Workspace) -> None:
        self._frames, self._workspace = frames, workspace
        self._ids, self._conversations = DistinctCounter(), DistinctCounter()
        self.real = self._synthetic = 0

    def write(self, path: Path) -> None:
        """Write all of them."""
        write_frames(self._all(), path)

    def counts(self) -> dict[str, Any]:
        """What the record says of them."""
        count = self.real + self._synthetic
        return {
            "samples": count,
            "conversations": self._conversations.count(),
            "synthetic": self._synthetic,
            "synthetic_digest": _synthetic_digest(self._workspace),
            "duplicates": count - self._ids.count(),
        }

    def _all(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            self.real += len(frame)
            yield self._counted(frame)
        if self._workspace.synthetic.exists():
            for frame in pl.scan_parquet(self._workspace.synthetic, glob=False).collect_batches(maintain_order=True):
                self._synthetic += len(frame)
                yield self._counted(frame)

    def _counted(self, frame: pl.DataFrame) -> pl.DataFrame:
        for counter, column in ((self._ids, "sample_id"), (self._conversations, "dialogue_id")):
            for text in frame[column]:
                counter.add(text)
        return frame


def _synthetic_digest(workspace: Workspace) -> str | None:
    return file_hash(workspace.synthetic) if workspace.synthetic.exists() else None


def _require_judgements(workspace: Workspace) -> None:
    """Refuse to judge all samples anew, and to pay for all, where the ledger was emptied or is gone."""
    last = workspace.last(SCORE, ScoreRecord)
    judged = sum(last.states.values()) if last else 0
    if judged and workspace.ledger.exists():
        with Ledger(workspace.ledger, read_only=True) as ledger:
            judged = 0 if ledger.specs() else judged
    if judged:
        raise UserError(
            f"{workspace.ledger} holds no judgement, though {judged:,} samples of the run were judged: put the file "
            "back, or add --force to judge all of them again"
        )
