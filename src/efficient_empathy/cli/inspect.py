"""`efficient-empathy inspect`."""

from __future__ import annotations

from efficient_empathy.cli.shared import Json, Source, show
from efficient_empathy.dialogues.settings import InspectionSettings


def inspect(source: Source, reading: InspectionSettings, as_json: Json = False) -> None:
    """Say what a source is: its format, counts, categories, bad rows, three samples.

    Example: efficient-empathy inspect dialogues.jsonl
    """
    from efficient_empathy.dialogues import Intake, inspect_source
    from efficient_empathy.dialogues.inspection import as_record, as_text

    intake = Intake(on_bad_row=reading.on_bad_row)
    inspection = inspect_source(source, format=reading.format, columns=reading.columns or None, intake=intake)
    show(as_record(inspection), as_json, as_text(inspection))
