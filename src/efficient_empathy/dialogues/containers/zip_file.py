"""Zip archives: the files that they hold, read where they lie. Nothing is ever extracted to disk."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO

from efficient_empathy.dialogues.containers.packing import BUFFER, too_large, unpacked_limit
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.objects.copies import RemoteFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
ABOUT = re.compile(r"(?!_chat\.txt$)[._]|README|LICENSE|.*\.md$", re.IGNORECASE)
"""The names of files that describe data, or that systems leave beside it."""
_SYSTEM = re.compile(r"\.|__MACOSX$|Thumbs\.db$|desktop\.ini$", re.IGNORECASE)
_OUTSIDE = re.compile(r"/|[A-Za-z]:")
_ENCRYPTED = 0x1
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What the standard library unpacks no more of than was asked for; of the others all that it has read."""
_LEAST_READ = 2**12
_DOCUMENTS = {
    "xl/workbook.bin": "a binary Excel workbook (xlsb): save it as xlsx or CSV",
    "word/document.xml": "a Word document: save the dialogues as CSV, JSON lines or xlsx",
    "ppt/presentation.xml": "a PowerPoint file: save the dialogues as CSV, JSON lines or xlsx",
    "Index/Document.iwa": "an Apple Numbers or Pages document: export it as CSV or xlsx",
    "META-INF/MANIFEST.MF": "a Java archive: it is no data",
    "content.xml": "an OpenDocument file (ods, odt): save it as xlsx or CSV",
}
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file with rows: one on disk, an object of a store, or a member of the zip that either is."""

    place: Path | RemoteFile
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.place}/{self.member}" if self.member else str(self.place)

    @property
    def name(self) -> str:
        """The file's own name, without folders."""
        return PurePosixPath(self.member).name if self.member else self.place.name

    @property
    def path(self) -> Path:
        """Where its bytes lie on this disk, be it in a zip: an object is fetched first."""
        return self.place if isinstance(self.place, Path) else self.place.path

    @property
    def size(self) -> int | None:
        """Its bytes as they lie there, for a member those of the whole zip; None where a store does not say."""
        return self.place.stat().st_size if isinstance(self.place, Path) else self.place.entry.size

    def beginning(self) -> DataFile:
        """Of a large object its first bytes as a file; else the file itself."""
        return self if isinstance(self.place, Path) else DataFile(self.place.beginning(), self.member)


def is_zip(file: DataFile) -> bool:
    """Whether a file begins as a zip does."""
    path = file.beginning().path
    if not path.is_file():
        return False
    with error_context(f"read {file}"), path.open("rb") as stream:
        return stream.read(4) in MAGIC


def document_kind(file: DataFile) -> str | None:
    """What else a zip is: `excel` for a workbook, a sentence for what is not read; None for an archive."""
    with _open(file) as archive:
        names = set(archive.namelist())
    if "xl/workbook.xml" in names:
        return "excel"
    return next((f"{file} is {kind}" for name, kind in _DOCUMENTS.items() if name in names), None)


def zip_members(whole: DataFile, max_unpacked: int | None) -> list[DataFile]:
    """The files in a zip but for what systems add; what describes the data is left out where there is anything else.

    Raises `UserError` for a zip that is broken, encrypted, or larger than its limit, for names that climb out of it or
    come twice, and for links.
    """
    with _open(whole) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    members = [entry for entry in entries if not any(map(_SYSTEM.match, PurePosixPath(entry.filename).parts))]
    for entry in entries:
        _check_name(whole, entry.filename)
    for entry in members:
        if entry.flag_bits & _ENCRYPTED:
            raise UserError(f"{whole} is encrypted ({entry.filename} needs a password): unpack it first, and pass that")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{whole} holds the link {entry.filename}: put the file itself into the zip")
    twice = next((name for name, count in Counter(entry.filename for entry in members).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{whole} holds {twice} twice: unpack it, and pass the file that you mean")
    packed_size = whole.path.stat().st_size
    limit = unpacked_limit(packed_size, max_unpacked)
    if sum(entry.file_size for entry in members) > limit:
        raise too_large(str(whole), limit, packed_size)
    data = [entry for entry in members if not ABOUT.match(PurePosixPath(entry.filename).name)]
    return [DataFile(whole.place, entry.filename) for entry in data or members]


def _check_name(whole: DataFile, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if _OUTSIDE.match(name.replace("\\", "/")) or ".." in parts:
        raise UserError(
            f"{whole} holds {name!r}, a path that leads out of the zip, so it was not made by a tool to be trusted: "
            "unpack it with care, and pass the file that you mean"
        )


@contextmanager
def open_member(file: DataFile) -> Iterator[BinaryIO]:
    """The unpacked bytes of a zip's member, seekable."""
    with _open(file) as archive:
        try:
            content = archive.open(str(file.member))
            is_bounded = archive.getinfo(str(file.member)).compress_type in _BOUNDED
        except BROKEN as error:
            raise _broken(file, error) from error
        with content:
            yield io.BufferedReader(_Member(content, file, BUFFER if is_bounded else _LEAST_READ), BUFFER)


@contextmanager
def _open(file: DataFile) -> Iterator[zipfile.ZipFile]:
    with error_context(f"read {file.place}"):
        path = file.path
        state = path.stat()
        try:
            archive = _archive(path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns))
        except BROKEN as error:
            raise UserError(f"{file.place} is a broken zip ({error}): copy or download the file again") from error
        yield archive


@lru_cache(maxsize=1)
def _archive(path: Path, _state: tuple[int, ...]) -> zipfile.ZipFile:
    """The latest zip, kept open: to read what it holds for every member takes the square of their number."""
    return zipfile.ZipFile(path)


def _broken(file: DataFile, error: Exception) -> UserError:
    if isinstance(error, NotImplementedError):
        return UserError(f"{file} is packed in a way that is not read ({error}): unpack the zip first")
    return UserError(f"{file}: the zip is broken ({error}): copy or download the file again")


class _Member(io.RawIOBase):
    """A member's bytes, whose faults are told to the user."""

    def __init__(self, content: IO[bytes], file: DataFile, most: int) -> None:
        self._content = content
        self._file = file
        self._most = most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._content.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        try:
            data = self._content.read(min(len(view), self._most))
        except BROKEN as error:
            raise _broken(self._file, error) from error
        view[: len(data)] = data
        return len(data)
