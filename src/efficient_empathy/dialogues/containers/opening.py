"""Bytes of a file, unpacked and in UTF-8, and their lines; every fault of the medium becomes a `UserError`."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from efficient_empathy.dialogues.containers.encodings import (
    MARK,
    Transcoder,
    has_old_line_ends,
    marked_encoding,
    unmarked_encoding,
)
from efficient_empathy.dialogues.containers.packing import BUFFER, MAGIC_BYTES, Unpacked, packing_of, unpacked_limit
from efficient_empathy.dialogues.containers.zip_file import DataFile, open_member
from efficient_empathy.dialogues.rows import Intake
from efficient_empathy.foundation.errors import UserError

MAX_LINE = 64 * 2**20
"""The longest line (and JSON value, and CSV record) that is read, in bytes."""
HOLDS_NUL = "holds a NUL byte: remove it"
TOO_LONG = f"longer than {MAX_LINE // 2**20} MB"
MARKS_INSIDE = "byte-order marks inside the file left out"
MOST_BLANK = 1_000_000
"""Blank lines that may follow each other: a packed file of a few kilobytes has hundreds of millions."""
HEAD = 2**16
_MOST_LAYERS = 2


@contextmanager
def open_bytes(file: DataFile | Path, intake: Intake | None = None) -> Iterator[BinaryIO]:
    """A text file's bytes: unpacked, in UTF-8 without the mark at the start, its lines ended by line feeds.

    The encoding is the one that a byte-order mark says, or else the intake's setting, UTF-8 if that has none.
    """
    intake = intake or Intake()
    with open_unpacked(file, intake) as stream:
        try:
            yield _as_text(stream, str(file), intake.settings.encoding)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file} is not the {error.encoding} that its byte-order mark says "
                f"({error.reason} before byte {stream.tell():,})"
            ) from error


@contextmanager
def open_unpacked(file: DataFile | Path, intake: Intake | None = None) -> Iterator[BinaryIO]:
    """A file's bytes, seekable, unpacked if it is packed (twice at most)."""
    intake = intake or Intake()
    file = file if isinstance(file, DataFile) else DataFile(file)
    layers: list[Unpacked] = []
    try:
        if not file.path.is_file():
            raise UserError(f"{file} is not a file")
        with ExitStack() as stack:
            raw = open_member(file) if file.member else file.path.open("rb", BUFFER)
            stream: BinaryIO = stack.enter_context(raw)
            size = file.path.stat().st_size
            limit = unpacked_limit(size, intake.settings.max_unpacked)
            while packing := packing_of(_head(stream, MAGIC_BYTES)):
                if len(layers) == _MOST_LAYERS:
                    raise UserError(f"{file} is packed more than twice: unpack it first")
                layers.append(Unpacked(stream, packing, str(file), limit, size))
                stream = io.BufferedReader(layers[-1], BUFFER)
            yield stream
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    padding = sum(layer.padding for layer in layers)
    if padding:
        intake.repairs["zero bytes after packed data left out"] += padding


def _head(stream: BinaryIO, size: int) -> bytes:
    head = stream.read(size)
    stream.seek(0)
    return head


def _as_text(stream: BinaryIO, name: str, encoding: str | None) -> BinaryIO:
    head = _head(stream, HEAD)
    marked = marked_encoding(head)
    if head.startswith(MARK):
        encoding = None
        stream.seek(len(MARK))
    elif not marked and not encoding and (unmarked := unmarked_encoding(head)):
        raise UserError(f"{name} is not UTF-8; it looks like {unmarked}: pass --encoding {unmarked}")
    encoding = marked or (encoding if encoding and codecs.lookup(encoding).name != "utf-8" else None)
    start = head.decode(encoding, "ignore").encode(errors="ignore") if encoding else head
    old_line_ends = has_old_line_ends(start)
    if not encoding and not old_line_ends:
        return stream
    transcoder = Transcoder(stream, encoding, strict=marked is not None, mend_line_ends=old_line_ends)
    return io.BufferedReader(transcoder, BUFFER)


def lines(stream: BinaryIO, name: str | None = None) -> Iterator[tuple[int, bytes | None]]:
    """Every line's number, from 1 on, and its bytes with the line's end; None for one that is too long to hold.

    With the `name` of a file, raises `UserError` for over `MOST_BLANK` blank ones that follow each other.
    """
    number = last = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if not line.isspace():
            last = number
        elif name is not None and number - last > MOST_BLANK:
            where = f"line {last:,}" if last else "its start"
            raise UserError(f"{name}: over {MOST_BLANK:,} blank lines follow {where}: remove them")
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(2**20)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def without_mark(line: bytes, intake: Intake) -> bytes:
    """A line without the byte-order mark that it begins with, as joined files have it; counted."""
    if not line.startswith(MARK):
        return line
    intake.repairs[MARKS_INSIDE] += 1
    return line[len(MARK) :]
