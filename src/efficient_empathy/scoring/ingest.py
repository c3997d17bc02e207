"""Reading a source into a run's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues import DistinctCounter, Intake, OnBadRow, Sample, open_source, write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, atomic

STAGE = "read"
BAD_ROWS_SHOWN = 20


def ingest(
    source: str | Path,
    workspace: Workspace,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    on_bad_row: OnBadRow = "fail",
    force: bool = False,
) -> dict[str, Any]:
    """Read `source` into `samples.parquet` unless it holds just that still; returns what the manifest keeps of it."""
    opened = open_source(source, format=format, columns=columns, intake=Intake(on_bad_row=on_bad_row))
    origin = {"name": Path(str(source)).name, "format": opened.format, "digest": opened.digest()}
    parameters = {"columns": dict(columns or {}), "on_bad_row": on_bad_row}
    known = workspace.stage(STAGE)
    same = known.get("source") == origin and known.get("parameters") == parameters
    whole = workspace.samples.exists() and workspace.whole(STAGE)
    if opened.hub is None and same and whole and not force:
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
    record = {
        "source": origin,
        "parameters": parameters,
        "samples": count,
        "conversations": conversations.count(),
        "duplicates": count - ids.count(),
        "bad_rows": opened.intake.bad_row_count,
        "bad_row_examples": [asdict(row) for row in opened.intake.bad_rows[:BAD_ROWS_SHOWN]],
        "repairs": dict(opened.intake.repairs),
        "skipped_files": [path.name for path in opened.skipped_files],
    }
    workspace.record(STAGE, record, [workspace.samples])
    return record
