"""Packed streams (gzip, xz, bzip2, zstd): unpacked part by part in flat memory, within a limit that bounds bombs."""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from pydantic import ByteSize

from efficient_empathy.foundation.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LEAST_LIMIT = 256 * 2**20
MOST_LIMIT = 200 * 2**30
RATIO = 250
"""Of JSON lines, EmpatheticDialogues and ESConv unpack to 4 to 6 times their size (gzip, xz, bzip2), rows that repeat a
prompt of 3 kB to 32 to 51 times."""
MOST_EMPTY = 10_000
"""Empty parts that may follow each other."""
BUFFER = 2**17
_CHUNK = 2**16
_FIRST_CHUNK = 2**12
"""What a part is begun with: of a file of many small parts, each copies what follows it."""
_LONGEST_WINDOW = 31
"""As `zstd --long=31` writes, which archives of forums do; memory is taken only by files that need it."""


class Engine(Protocol):
    """What unpacks one part of a packed file, as the standard library's decompressors do."""

    @property
    def eof(self) -> bool:
        """Whether the part has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given after the part's end."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more to come of what was given."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Up to `max_length` bytes of what `data` unpacks to."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _zstd_engine() -> Engine:
    zstd = _zstd()
    engine: Engine = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _LONGEST_WINDOW})
    return engine


_ENGINES: dict[str, Callable[[], Engine]] = {
    "gzip": _Gzip,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "bzip2": bz2.BZ2Decompressor,
    "zstd": _zstd_engine,
}


def _faults(packing: str) -> tuple[type[Exception], ...]:
    own: tuple[type[Exception], ...] = (_zstd().ZstdError,) if packing == "zstd" else (zlib.error, lzma.LZMAError)
    return (*own, OSError, EOFError, ValueError, MemoryError)


_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_MAGIC |= {bytes([0x50 + number]) + b"\x2a\x4d\x18": "zstd" for number in range(16)}
MAGIC_BYTES = 10


def packing_of(head: bytes) -> str | None:
    """How a file that begins with `head` is packed, if it is."""
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    return next((packing for magic, packing in _MAGIC.items() if head.startswith(magic)), None)


def unpacked_limit(packed_size: int, max_unpacked: int | None, least: int | None = None) -> int:
    """How many bytes a file of `packed_size` may unpack to; `max_unpacked` is what the user allows."""
    return max_unpacked or min(MOST_LIMIT, max(least or LEAST_LIMIT, RATIO * packed_size))


def too_large(name: str, limit: int, packed_size: int) -> UserError:
    """The error of what unpacks to more than its limit."""
    sizes = f"{ByteSize(packed_size).human_readable()} unpack to more than {ByteSize(limit).human_readable()}"
    return UserError(f"{name}: {sizes}: if you trust the file, pass --max-unpacked with the size that it may have")


class Unpacked(io.RawIOBase):
    """The content of a packed stream, whose parts (as `cat a.gz b.gz` makes them) follow each other.

    Raises `UserError` for data that is broken or breaks off, what follows that is not packed, and more than `limit`.
    `padding` counts the zero bytes after a part, which carry nothing.
    """

    def __init__(self, stream: BinaryIO, packing: str, name: str, limit: int, packed_size: int) -> None:
        self._stream = stream
        self._packing = packing
        self._name = name
        self._limit = limit
        self._packed_size = packed_size
        self._rewind()

    def _rewind(self) -> None:
        self._stream.seek(0)
        self._engine: Engine | None = _ENGINES[self._packing]()
        self._chunk = b""
        self._begins = True
        self._count = self._count_before = self._empty = 0
        self.padding = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, from the start."""
        return True

    def tell(self) -> int:
        """How many bytes were unpacked."""
        return self._count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to `offset` from the start, by unpacking anew what lies before it."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        if offset < self._count:
            self._rewind()
        while self._count < offset and self._unpack(min(BUFFER, offset - self._count)):
            pass
        return self._count

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with the next bytes."""
        view = memoryview(buffer)
        data = self._unpack(len(view))
        view[: len(data)] = data
        return len(data)

    def _unpack(self, size: int) -> bytes:
        try:
            data = self._next(size)
        except UserError:
            raise
        except _faults(self._packing) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise self._broken(str(error) or type(error).__name__) from error
        self._count += len(data)
        if self._count > self._limit:
            raise too_large(self._name, self._limit, self._packed_size)
        return data

    def _next(self, size: int) -> bytes:
        while self._engine is not None:
            if self._engine.eof:
                self._engine = self._next_part(self._engine.unused_data)
                continue
            chunk = b""
            if self._engine.needs_input:
                size_read = _FIRST_CHUNK if self._begins else _CHUNK
                chunk, self._chunk = self._chunk or self._stream.read(size_read), b""
                self._begins = False
            at_end = self._engine.needs_input and not chunk
            data = self._engine.decompress(chunk, size)
            if data:
                return data
            if at_end and not self._engine.eof:
                raise self._broken("it ends early")
        return b""

    def _next_part(self, rest: bytes) -> Engine | None:
        """What unpacks the part after the one that has ended, `rest` its first bytes; None at the file's end."""
        self._empty = self._empty + 1 if self._count == self._count_before else 0
        self._count_before = self._count
        if self._empty > MOST_EMPTY:
            raise UserError(f"{self._name}: over {MOST_EMPTY:,} empty parts follow each other: unpack it first")
        while not (content := rest.lstrip(b"\0")):
            self.padding += len(rest)
            rest = self._stream.read(_CHUNK)
            if not rest:
                return None
        self.padding += len(rest) - len(content)
        content += self._stream.read(MAGIC_BYTES)
        if packing_of(content[:MAGIC_BYTES]) != self._packing:
            raise UserError(
                f"{self._name}: after {self._count:,} bytes of content comes something that is not {self._packing}: "
                "copy or download the file again, or unpack it by hand and pass the result"
            )
        self._chunk, self._begins = content, True
        return _ENGINES[self._packing]()

    def _broken(self, reason: str) -> UserError:
        return UserError(
            f"{self._name}: the {self._packing} data is broken after {self._count:,} bytes ({reason}): "
            "copy or download the file again"
        )
