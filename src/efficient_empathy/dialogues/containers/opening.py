"""Bytes of a file, unpacked and in UTF-8, and their lines; every fault of the medium becomes a `UserError`."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from efficient_empathy.foundation.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE = 64 * 2**20
"""The longest line (and JSON value, and CSV record) that is read, in bytes."""
NOT_UTF8 = "not UTF-8: convert the file with `iconv -f WINDOWS-1252 -t UTF-8`, or -f with whatever it is in"
HOLDS_NUL = "holds a NUL byte: remove it, or if the file is UTF-16 convert it with `iconv -f UTF-16 -t UTF-8`"
TOO_LONG = f"longer than {MAX_LINE // 2**20} MB"

_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
_BOMS |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, seekable: unpacked if it is gzip, in UTF-8 if a byte-order mark says UTF-16 or UTF-32."""
    stream: BinaryIO | None = None
    try:
        if not path.is_file():
            raise UserError(f"{path} is not a file")
        with path.open("rb") as raw:
            stream = _unpack(raw)
            yield _in_utf8(stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        at = _position(stream)
        raise UserError(f"{path}: the gzip data is broken{at} ({error}): copy or download the file again") from error
    except UnicodeDecodeError as error:
        at = _position(stream)
        raise UserError(
            f"{path} is not the {error.encoding} that its byte-order mark says ({error.reason}{at})"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _position(stream: BinaryIO | None) -> str:
    try:
        return f" after {stream.tell():,} bytes" if stream else ""
    except (OSError, EOFError, ValueError, zlib.error):
        return ""


def _unpack(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(2)
    raw.seek(0)
    return io.BufferedReader(gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw


def _in_utf8(stream: BinaryIO) -> BinaryIO:
    head = stream.read(4)
    encoding = next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)
    stream.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
    return io.BufferedReader(_Transcoder(stream, encoding)) if encoding else stream


class _Transcoder(io.RawIOBase):
    """Another encoding's bytes as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self._ready:
            chunk = self._stream.read(32_768)
            self._ready = self._decoder.decode(chunk, final=not chunk).encode()
            if not chunk:
                break
        part, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(part)] = part
        return len(part)


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Every line's number, from 1 on, and its bytes with the line's end; None for one that is too long to hold."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(2**20)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line
