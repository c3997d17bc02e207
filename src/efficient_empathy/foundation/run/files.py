"""Files and folders that are whole or absent, what killed processes leave of them, and the hashes they are known by."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from efficient_empathy.foundation.errors import Misplaced, write_context

_WRITING: set[str] = set()
"""The names of the temporary files that this process writes to now."""
_LOCKED: dict[Path, tuple[int, int] | None] = {}
"""The runs that are locked here, by their folder, and what it is."""


@contextlib.contextmanager
def in_place(run: Path) -> Iterator[None]:
    """For as long as a run is locked: know its folder, and remove what killed processes have left in it at first."""
    if run in _LOCKED:
        yield
        return
    _LOCKED[run] = file_identity(run)
    try:
        sweep(run)
        yield
    finally:
        del _LOCKED[run]


def require_in_place(path: Path) -> None:
    """Raise `Misplaced` where `path` lies in a run that is locked here and was moved, deleted or unmounted since."""
    path = path.absolute()
    for root, identity in list(_LOCKED.items()):
        if path.is_relative_to(root) and file_identity(root) != identity:
            raise Misplaced(
                f"the run's folder {root} was moved, deleted or unmounted while it was in use: nothing more is "
                "sent or written; put it back where it was, then run the same command again"
            )


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells a file or a folder from another of the same name; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed onto it, synced, when the block ends well, else removed.

    The path is this writer's alone, so threads and processes may write to `path` at once: the last one stands.
    """
    with temporary_beside(path) as temporary, write_context(path):
        require_in_place(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_one(path.parent, [one.name for one in path.parent.iterdir()])
        yield temporary
        require_in_place(path)
        sync(temporary)
        temporary.replace(path)


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A path beside `path` that is this writer's alone; what is there in the end goes."""
    temporary = path.absolute().with_name(temporary_name(path.name))
    _WRITING.add(temporary.name)
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _WRITING.discard(temporary.name)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` for as long as the block lasts; what a killed process leaves of it is swept."""
    folder = parent / temporary_name("work")
    _WRITING.add(folder.name)
    try:
        with write_context(parent):
            require_in_place(folder)
            folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _WRITING.discard(folder.name)


_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\..*\.(\d+)-([0-9a-f]{8})\.[0-9a-f]{8}\.tmp")
_DAY = 86_400
"""Seconds for which what another machine writes on a shared disk may go without a change."""


def temporary_name(name: str) -> str:
    """A name for what will be `name` once it is whole: it says which process of which machine writes, for `sweep`."""
    return f".{name}.{os.getpid()}-{_HOST}.{secrets.token_hex(4)}.tmp"


def sweep(folder: Path) -> None:
    """Remove what killed processes have left of their writes, anywhere below `folder`.

    See `is_leftover`.
    """
    for place, folders, files in os.walk(folder):
        _sweep_one(Path(place), (*folders, *files))
        folders[:] = [name for name in folders if not _TEMPORARY.fullmatch(name)]


def _sweep_one(folder: Path, names: Iterable[str]) -> None:
    for leftover in (folder / name for name in names):
        if is_leftover(leftover):
            with contextlib.suppress(OSError):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def is_leftover(path: Path) -> bool:
    """Whether a killed process has left this of its writes.

    It is known by its name, which a process of ours gave it that is no more, or that was this one's number before. Of
    a process on another machine nothing is known: a day after the last change it is taken for dead.
    """
    match = _TEMPORARY.fullmatch(path.name)
    if not match:
        return False
    pid, host = int(match[1]), match[2]
    if host != _HOST:
        with contextlib.suppress(OSError):
            return time.time() - path.lstat().st_mtime > _DAY
        return False
    return path.name not in _WRITING if pid == os.getpid() else not process_exists(pid)


def sync(path: Path) -> None:
    """Past a power cut: what a file holds, or which entries a folder has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_ahead(database: sqlite3.Connection) -> None:
    """Put a database into WAL mode, after whoever makes or switches it now: SQLite itself waits for no one there.

    Raises `sqlite3.OperationalError` where it is in use for as long as a statement waits.
    """
    wait_s = database.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    deadline = time.monotonic() + wait_s
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of what is written in the block, or nothing. The connection must be in autocommit mode."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def process_exists(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def entries(folder: Path) -> Iterator[Path]:
    """Everything below a folder, links among it and not followed; what cannot be listed is left out."""
    folders = [folder]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as listing:
            for entry in listing:
                yield Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))


def is_special(path: Path) -> bool:
    """Whether there is a pipe, a socket or a device, and not a link to one."""
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
    return False


def link(source: Path, target: Path) -> None:
    """Give the same file another name where the disk can do that, else make a copy."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; read once for as long as the file, its size and time are the same."""
    status = path.stat()
    return _hash_at(path.resolve(), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_at(path: Path, inode: int, size: int, mtime_ns: int) -> str:
    return hash_anew(path)


def hash_anew(path: Path) -> str:
    """SHA-256 of a file's bytes, read now whatever is known of it."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
