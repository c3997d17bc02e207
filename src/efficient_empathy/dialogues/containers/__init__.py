"""Containers: how rows lie in a file's bytes. Recognised by content, whatever the file is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from efficient_empathy.dialogues.containers.csv_file import csv_rows, delimiter_of
from efficient_empathy.dialogues.containers.json_file import IsRow, array_rows, line_rows, line_value, object_rows
from efficient_empathy.dialogues.containers.opening import lines, open_bytes
from efficient_empathy.dialogues.containers.parquet_file import parquet_rows
from efficient_empathy.dialogues.containers.text_file import is_dialogue_text, text_rows
from efficient_empathy.dialogues.rows import Intake, Row, split_in_name
from efficient_empathy.foundation.errors import UserError

Container = Literal["parquet", "array", "object", "lines", "csv", "text"]
_HEAD_BYTES = 2**16
_PEEKED_LINES = 20
_PEEKED_BYTES = 2**20
_ARCHIVES = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z"}


class UnknownContentError(UserError):
    """A file that holds nothing we read."""


def file_rows(path: Path, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    """The rows of one file, lazily. `is_row` tells a lone JSON object that is a row from one that holds rows."""
    split = split_in_name(path)
    for row in _rows(path, container_of(path), intake, is_row):
        yield replace(row, source=path.name, split=row.split or split)


def _rows(path: Path, container: Container, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    match container:
        case "parquet":
            return parquet_rows(path)
        case "array":
            return array_rows(path, intake, is_row)
        case "object":
            return object_rows(path, intake, is_row)
        case "lines":
            return line_rows(path, intake)
        case "csv":
            return csv_rows(path, intake)
        case "text":
            return text_rows(path, intake)


def container_of(path: Path) -> Container:
    """What a file's first lines show it to be; `UserError` if it is empty, `UnknownContentError` if neither."""
    with open_bytes(path) as stream:
        head = stream.read(_HEAD_BYTES)
        archive = next((name for magic, name in _ARCHIVES.items() if head.startswith(magic)), None)
        if archive:
            raise UnknownContentError(f"{path} is packed with {archive}: unpack it first")
        if head.startswith(b"PAR1"):
            with path.open("rb") as raw:
                if raw.read(4) == b"PAR1":
                    return "parquet"
            raise UnknownContentError(f"{path} is Parquet inside gzip: unpack it first")
        if is_dialogue_text(head):
            return "text"
        if head.lstrip().startswith(b"["):
            return "array"
    with open_bytes(path) as stream:
        peek = _peek(stream)
    if peek is None:
        raise UserError(f"{path} is empty: it has no rows")
    if peek.starts_object:
        return "lines" if peek.is_json_line or peek.objects else "object"
    if peek.objects * 2 > peek.others:
        return "lines"
    if not peek.has_delimiter:
        raise UnknownContentError(f"{path} is neither JSON, JSON lines, CSV or TSV with a header, nor Parquet")
    return "csv"


@dataclass(slots=True)
class _Peek:
    """What the first lines show: the first one's nature, and how many of the `others` look like JSON objects."""

    starts_object: bool
    is_json_line: bool
    has_delimiter: bool
    others: int = 0
    objects: int = 0


def _peek(stream: BinaryIO) -> _Peek | None:
    peek: _Peek | None = None
    size = 0
    for _, line in lines(stream):
        if line is not None and line.isspace():
            continue
        if peek is None:
            start = (line or b"{")[:_PEEKED_BYTES].lstrip()
            has_delimiter = delimiter_of(start.decode(errors="replace")) is not None
            peek = _Peek(start.startswith(b"{"), line_value(line)[1] is None, has_delimiter)
        else:
            peek.others += 1
            peek.objects += line is None or (line.startswith(b"{") and line.rstrip().endswith(b"}"))
        size += len(line or b"")
        if peek.others and (peek.others >= _PEEKED_LINES or size > _PEEKED_BYTES):
            break
    if peek is not None and not peek.others:
        peek.is_json_line = False
    return peek
