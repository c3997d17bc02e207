"""Copies of a source's objects on this disk: each is fetched when it is first read, and gone with its source.

Readers go over a source more than once, and need to seek; so an object is copied whole, as it was listed, and the
copies lie in the folder for temporary files (`TMPDIR`). They take half of what is free there at most, but for an object
that is larger: what was read longest ago goes first, and is fetched again where it is needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from efficient_empathy.foundation.errors import error_context
from efficient_empathy.foundation.objects.store import Entry, Store

_PREFIX = "efficient-empathy-objects-"
_LOCK = ".lock"
_NEW_S = 60.0
"""So old is a folder at least that is taken for what a killed process has left: a new one may not be locked yet."""
_AHEAD = 4
"""Objects that are fetched before they are read."""
_LEAST_KEPT = 2 * _AHEAD
BEGINNING = 2**18
"""Bytes of a large object that are fetched to recognise it."""

_Key = tuple[Entry, int | None]
"""An object, and how many of its first bytes; None for all of it."""
F = TypeVar("F")


class Copies:
    """The copies of one source's objects. Pickled, it is without any: they are fetched where it is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._copies: OrderedDict[_Key, Future[Path]] = OrderedDict()
        self._folder: Path | None = None
        self._limit = self._total = 0
        self._numbers = count()

    def __reduce__(self) -> tuple[type[Copies], tuple[Store]]:
        return Copies, (self._store,)

    def path(self, entry: Entry, size: int | None = None) -> Path:
        """Where the object's copy lies, or that of its first bytes; waits until it is there.

        Raises `UserError` as `Store.fetch` does.
        """
        try:
            return self.begin(entry, size).result()
        except BaseException:
            with self._lock:
                if self._copies.pop((entry, size), None) is not None:
                    self._total -= _bytes((entry, size))
            raise

    def begin(self, entry: Entry, size: int | None = None) -> Future[Path]:
        """Have the object fetched, if it is not there."""
        key = entry, size
        with self._lock:
            if key not in self._copies:
                self._make_room(_bytes(key))
                copy: Future[Path] = Future()
                self._copies[key] = copy
                place = self._made() / str(next(self._numbers))
                threading.Thread(target=_fetch, args=(self._store, key, place, copy), daemon=True).start()
            self._copies.move_to_end(key)
            return self._copies[key]

    def _made(self) -> Path:
        if self._folder is None:
            sweep()
            with error_context("make a folder for copies of objects", "set TMPDIR to a folder that can be written to"):
                self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
                lock = FileLock(self._folder / _LOCK)
                lock.acquire()
                self._limit = shutil.disk_usage(self._folder).free // 2
            weakref.finalize(self, _remove, self._folder, lock, os.getpid())
        return self._folder

    def _make_room(self, size: int) -> None:
        """Delete what was read longest ago, until as many bytes more are within the limit."""
        self._total += size
        while self._total > self._limit and len(self._copies) > _LEAST_KEPT:
            key, copy = next(iter(self._copies.items()))
            if not copy.done():
                break
            del self._copies[key]
            self._total -= _bytes(key)
            if copy.exception() is None:
                copy.result().unlink(missing_ok=True)


def _bytes(key: _Key) -> int:
    """How many a copy takes; 0 where the store does not say."""
    return key[1] or key[0].size or 0


def _fetch(store: Store, key: _Key, path: Path, copy: Future[Path]) -> None:
    """In a thread that nobody waits for when the process ends."""
    try:
        store.fetch(key[0], path, key[1])
    except BaseException as error:
        copy.set_exception(error)
    else:
        copy.set_result(path)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object as a file that can be read, through its copy; with `size`, only that many of its first bytes."""

    entry: Entry
    copies: Copies = field(compare=False, repr=False)
    size: int | None = None

    def __str__(self) -> str:
        return str(self.entry)

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.entry.name

    @property
    def path(self) -> Path:
        """Where its bytes lie on this disk: they are fetched first."""
        return self.copies.path(self.entry, self.size)

    def begin(self) -> None:
        """Have it fetched: it will be read soon."""
        self.copies.begin(self.entry, self.size)

    def beginning(self) -> RemoteFile:
        """A large object's first bytes; a small one whole."""
        is_large = self.entry.size is not None and self.entry.size > BEGINNING
        return replace(self, size=BEGINNING) if is_large else self


def sweep() -> None:
    """Remove the copies that killed processes of this user have left."""
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError, Timeout):
                status = folder.lstat()
                if status.st_mtime < time.time() - _NEW_S and _is_own(status):
                    with FileLock(folder / _LOCK, timeout=0):
                        shutil.rmtree(folder, ignore_errors=True)


def _is_own(status: os.stat_result) -> bool:
    """Whether it is a folder, and this user's."""
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "getuid") or status.st_uid == os.getuid())


def _remove(folder: Path, lock: FileLock, pid: int) -> None:
    if os.getpid() == pid:  # and no process that was forked from it
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def ahead(files: Iterable[F], what: Callable[[F], Any] = lambda file: file) -> Iterator[F]:
    """The files in order, while the next ones are fetched, those of them that are objects.

    `what` gives what will be read of a file: something whose `place` is a `RemoteFile`, or anything else.
    """
    every = list(files)
    for number, file in enumerate(every):
        for later in every[number : number + _AHEAD]:
            place = getattr(what(later), "place", None)
            if isinstance(place, RemoteFile):
                place.begin()
        yield file
