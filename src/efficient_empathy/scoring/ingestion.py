"""From a source to a run's `samples.parquet`, and what the manifest keeps of the reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import DistinctCounter, open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.dialogues.storage import sample_frames, write_frames
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
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

    `engine` may have its files read elsewhere.

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
    if last is not None and stream.hub is None and same and whole and not force:
        return last
    ids, conversations = DistinctCounter(), DistinctCounter()

    def count_samples(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for frame in frames:
            for counter, column in ((ids, "sample_id"), (conversations, "dialogue_id")):
                for text in frame[column]:
                    counter.add(text)
            yield frame

    frames = engine.read(stream, workspace.root.absolute()) if engine is not None else None
    with atomic(workspace.samples) as temporary:
        count = write_frames(count_samples(sample_frames(stream) if frames is None else frames), temporary)
        if not count:
            raise UserError(f"{source} holds no sample: {stream.intake.bad_row_count} bad rows, nothing to score")
    record = ReadRecord(
        source=origin,
        parameters=parameters,
        samples=count,
        conversations=conversations.count(),
        duplicates=count - ids.count(),
        bad_rows=stream.intake.bad_row_count,
        bad_row_examples=tuple(
            BadRowRecord(place=row.place, reason=row.reason) for row in stream.intake.bad_rows[:MOST_BAD_ROWS]
        ),
        repairs=dict(stream.intake.repairs),
        skipped_files=tuple(path.name for path in stream.skipped_files),
    )
    workspace.record(READ, record, [workspace.samples])
    return record


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
