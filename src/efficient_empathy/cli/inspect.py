"""`efficient-empathy inspect`."""

from __future__ import annotations

from efficient_empathy.cli.shared import BadRows, Columns, Format, Json, OnBadRow, Source, columns_of, show


def inspect(
    source: Source,
    format: Format = None,  # noqa: A002
    column: Columns = None,
    on_bad_row: OnBadRow = BadRows.skip,
    as_json: Json = False,
) -> None:
    """Say what a source is: its format, counts, categories, bad rows, three samples.

    Example: efficient-empathy inspect dialogues.jsonl
    """
    from efficient_empathy.dialogues import Intake, inspect_source
    from efficient_empathy.dialogues.show import as_record, as_text

    inspection = inspect_source(
        source, format=format, columns=columns_of(column), intake=Intake(on_bad_row=on_bad_row.value)
    )
    show(as_record(inspection), as_json, as_text(inspection))
