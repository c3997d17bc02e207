"""Reading a source into a run's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from efficient_empathy.dialogues import DistinctCounter, Intake, OnBadRow, Sample, open_source, write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, atomic
from efficient_empathy.scoring.record import READ, BadRowRecord, ReadParameters, ReadRecord, SourceRecord

BAD_ROWS_SHOWN = 20


def ingest(
    source: str | Path,
    workspace: Workspace,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    on_bad_row: OnBadRow = "fail",
    force: bool = False,
) -> ReadRecord:
    """Read `source` into `samples.parquet` unless it holds just that still; what the manifest keeps of it."""
    opened = open_source(source, format=format, columns=columns, intake=Intake(on_bad_row=on_bad_row))
    origin = SourceRecord(name=Path(str(source)).name, format=opened.format, digest=opened.digest())
    parameters = ReadParameters(columns=dict(columns or {}), on_bad_row=on_bad_row)
    known = workspace.last(READ, ReadRecord)
    whole = workspace.samples.exists() and workspace.whole(READ)
    same = known is not None and known.source == origin and known.parameters == parameters
    if known is not None and opened.hub is None and same and whole and not force:
        return known
    ids, conversations = DistinctCounter(), DistinctCounter()

    def counted() -> Iterator[Sample]:
        for sample in opened:
            ids.add(sample.id)
            conversations.add(sample.dialogue_id)
            yield sample

    with atomic(workspace.samples) as temporary:
        count = write_samples(counted(), temporary)
        if not count:
            raise UserError(f"{source} holds no sample: {opened.intake.bad_row_count} bad rows, nothing to score")
    record = ReadRecord(
        source=origin,
        parameters=parameters,
        samples=count,
        conversations=conversations.count(),
        duplicates=count - ids.count(),
        bad_rows=opened.intake.bad_row_count,
        bad_row_examples=tuple(
            BadRowRecord(place=row.place, reason=row.reason) for row in opened.intake.bad_rows[:BAD_ROWS_SHOWN]
        ),
        repairs=dict(opened.intake.repairs),
        skipped_files=tuple(path.name for path in opened.skipped_files),
    )
    workspace.record(READ, record, [workspace.samples])
    return record
