"""The columns of a source, whether or not its format is known, and how they may be meant."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.dialogues.containers import data_files
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.folders import folder_on_disk
from efficient_empathy.dialogues.hub import hub_id
from efficient_empathy.dialogues.proposal import column_kinds, propose
from efficient_empathy.dialogues.recognition import Part, first_rows
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.objects.address import is_url


def source_columns(
    source: str, reading: ReadingSettings | None = None
) -> tuple[dict[str, str], ReadingSettings | None]:
    """The columns of a source's first rows, what each holds in words, and the likeliest settings to read them.

    A file, or the first of a folder, is looked at whatever format it may be of; nothing of a URL. Settings are None
    where none are found that give samples. Raises `UserError` for what cannot be read at all.
    """
    reading = ReadingSettings.of(reading)
    part = _first_part(source, reading)
    if part is None:
        return {}, None
    rows = first_rows(part, reading)
    proposals = propose(rows)
    return column_kinds(rows), proposals[0] if proposals else None


def _first_part(source: str, reading: ReadingSettings) -> Part | None:
    if is_url(source):
        return None
    path = Path(source)
    if not path.exists():
        return hub_id(source)
    files = folder_on_disk(path).files if path.is_dir() else [DataFile(path)]
    if not files:
        raise UserError(f"{source} has no files to read")
    return data_files(files[0], reading)[0]
