"""Containers: how rows lie in a file's bytes. Recognised by content, whatever the file is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from efficient_empathy.dialogues.containers.csv_file import csv_rows
from efficient_empathy.dialogues.containers.delimiters import delimiter_of, directive
from efficient_empathy.dialogues.containers.excel_file import excel_rows
from efficient_empathy.dialogues.containers.foreign import foreign_kind
from efficient_empathy.dialogues.containers.json_file import IsRow, array_rows, line_rows, line_value, object_rows
from efficient_empathy.dialogues.containers.opening import HEAD, lines, open_bytes, open_unpacked
from efficient_empathy.dialogues.containers.packing import packing_of
from efficient_empathy.dialogues.containers.parquet_file import parquet_rows
from efficient_empathy.dialogues.containers.text_file import is_dialogue_text, text_rows
from efficient_empathy.dialogues.containers.zip_file import MAGIC as ZIP
from efficient_empathy.dialogues.containers.zip_file import DataFile, document_kind, is_zip, zip_members
from efficient_empathy.dialogues.rows import Intake, Row, split_in_name
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

Container = Literal["parquet", "array", "object", "lines", "csv", "text", "excel"]
_PEEKED_LINES = 20
_PEEKED_BYTES = 2**20
_SPLIT_ORDER = {"train": 0, "valid": 1, "test": 2}


class UnknownContentError(UserError):
    """A file that holds nothing we read."""


def data_files(file: DataFile, reading: ReadingSettings | None = None) -> list[DataFile]:
    """The file; of a zip its members, ordered as by `in_order`. Raises `UserError` for one not to be read."""
    if not is_zip(file) or document_kind(file) is not None:
        return [file]
    members = zip_members(file, reading.max_unpacked if reading else None)
    if not members:
        raise UserError(f"{file} is empty: it has no files")
    return in_order(members)


def in_order(files: list[DataFile]) -> list[DataFile]:
    """Files by the split that their names tell (train, valid, test, unknown), then by name."""
    return sorted(
        files, key=lambda file: (_SPLIT_ORDER.get(split_in_name(Path(file.name)) or "", 3), file.name, str(file))
    )


def file_rows(file: DataFile | Path, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    """The rows of one file, lazily; those of a zip one member after the other.

    `is_row` tells a lone JSON object that is a row from one that holds rows.
    """
    for part in [file] if isinstance(file, DataFile) else data_files(DataFile(file), intake.settings):
        name, split = part.name, split_in_name(Path(part.name))
        for row in _rows(part, container_of(part, intake), intake, is_row):
            yield Row(row.place, row.values, name, row.split or split)


def _rows(file: DataFile, container: Container, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    match container:
        case "parquet":
            return parquet_rows(file, intake.settings.max_unpacked)
        case "excel":
            return excel_rows(file, intake)
        case "array":
            return array_rows(file, intake, is_row)
        case "object":
            return object_rows(file, intake, is_row)
        case "lines":
            return line_rows(file, intake)
        case "csv":
            return csv_rows(file, intake)
        case "text":
            return text_rows(file, intake)


def container_of(file: DataFile | Path, intake: Intake | None = None) -> Container:
    """What a file's first lines show it to be; `UserError` if it is empty, `UnknownContentError` if neither."""
    file = file if isinstance(file, DataFile) else DataFile(file)
    binary = _binary_container(file, Intake(intake.settings) if intake else Intake())
    return binary or _text_container(file, Intake(intake.settings) if intake else Intake())


def _binary_container(file: DataFile, intake: Intake) -> Container | None:
    with open_unpacked(file, intake) as stream:
        head = stream.read(HEAD)
    if kind := foreign_kind(head):
        raise UnknownContentError(f"{file} is {kind}")
    name = "Parquet" if head.startswith(b"PAR1") else "a zip or a workbook" if head.startswith(ZIP) else None
    if name is None:
        return None
    with file.path.open("rb") as raw:
        packing = "a zip" if file.member else packing_of(raw.read(HEAD))
    if packing:
        error = UserError if file.member else UnknownContentError
        raise error(f"{file} is {name} inside {packing}: unpack it first")
    if name == "Parquet":
        return "parquet"
    kind = document_kind(file)
    if kind != "excel":
        raise UnknownContentError(kind or f"{file} is a zip of several files: pass it as a source of its own")
    return "excel"


def _text_container(file: DataFile, intake: Intake) -> Container:
    with open_bytes(file, intake) as stream:
        head = stream.read(HEAD)
        if is_dialogue_text(head):
            return "text"
        if head.lstrip().startswith(b"["):
            return "array"
    with open_bytes(file, intake) as stream:
        peek = _peek(stream, str(file), intake.settings.delimiter)
    if peek is None:
        raise UserError(f"{file} is empty: it has no rows")
    if peek.starts_object:
        return "lines" if peek.is_json_line or peek.objects else "object"
    if peek.objects * 2 > peek.others:
        return "lines"
    if not peek.is_csv:
        raise UnknownContentError(
            f"{file} is neither JSON, JSON lines, CSV or TSV with a header, Parquet, nor an Excel workbook (for CSV "
            "that is separated otherwise, pass --delimiter)"
        )
    return "csv"


@dataclass(slots=True)
class _Peek:
    """What the first lines show: the first one's nature, and how many of the `others` look like JSON objects."""

    starts_object: bool
    is_json_line: bool
    is_csv: bool = False
    others: int = 0
    objects: int = 0


def _peek(stream: BinaryIO, name: str, delimiter: str | None) -> _Peek | None:
    peek: _Peek | None = None
    texts: list[str] = []
    size = 0
    for _, line in lines(stream, name):
        if line is not None and line.isspace():
            continue
        if peek is None:
            start = (line or b"{")[:_PEEKED_BYTES].lstrip()
            peek = _Peek(start.startswith(b"{"), line_value(line)[1] is None)
        else:
            peek.others += 1
            peek.objects += line is None or (line.startswith(b"{") and line.rstrip().endswith(b"}"))
        texts.append((line or b"")[:_PEEKED_BYTES].decode(errors="replace"))
        size += len(line or b"")
        if peek.others and (peek.others >= _PEEKED_LINES or size > _PEEKED_BYTES):
            break
    if peek is not None:
        peek.is_json_line = peek.is_json_line and peek.others > 0
        peek.is_csv = bool(delimiter_of(texts) or directive(texts[0]) or (delimiter and delimiter in texts[0]))
    return peek
