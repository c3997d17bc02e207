"""Commands in forked children of a process that has imported everything, so that one costs no start-up.

A child is killed by a real SIGKILL: by itself before the n-th write, rename, removal, sync or SQL statement within a
folder, or by its parent after some time.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALWAYS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
"""Audit events that change a folder; `open` counts where it is for writing."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its exit status (negative: the signal), what it said, the moments it went through."""

    status: int
    said: str
    moments: tuple[str, ...]
    seconds: float


def run(
    work: Callable[[], None],
    root: Path,
    log: Path,
    *,
    kill_at: int = 0,
    kill_after_s: float = 0.0,
    limit_s: float = 600,
) -> Outcome:
    """Do `work` in a child, which is killed before its `kill_at`-th moment within `root` or after `kill_after_s`."""
    began = time.monotonic()
    pid = start(work, root, log, kill_at=kill_at)
    if kill_after_s:
        status = wait(pid, began + kill_after_s)
        if status is None:
            os.kill(pid, signal.SIGKILL)
            status = wait(pid, began + limit_s)
    else:
        status = wait(pid, began + limit_s)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise RuntimeError(f"a command takes more than {limit_s:g} s; what it said is in {log}.said")
    return Outcome(status, said_in(log), moments_in(log), time.monotonic() - began)


def start(work: Callable[[], None], root: Path, log: Path, *, kill_at: int = 0) -> int:
    """`run` without waiting: the child's process id."""
    for kind in (".said", ".moments"):
        log.with_suffix(kind).unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        _be_child(work, root, log.with_suffix(".said"), log.with_suffix(".moments"), kill_at)
    return pid


def said_in(log: Path) -> str:
    """What a child has said so far."""
    path = log.with_suffix(".said")
    return path.read_text("utf-8", "replace") if path.exists() else ""


def moments_in(log: Path) -> tuple[str, ...]:
    """The moments that a child has gone through so far, unless it is to be killed at one."""
    path = log.with_suffix(".moments")
    return tuple(path.read_text("utf-8", "replace").splitlines()) if path.exists() else ()


def call(function: Callable[[], Any]) -> Any:
    """What a function returns, as JSON, from a child of its own: polars must not work in a process that is forked."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with os.fdopen(writer, "w") as out:
                json.dump(function(), out)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        content = lines.read()
    os.waitpid(pid, 0)
    return json.loads(content)


def command(arguments: Sequence[str], modules: Path | None = None) -> Callable[[], None]:
    """The work of the command line with these arguments; `modules` gets the names of what was imported by the end."""

    def work() -> None:
        from efficient_empathy.cli import main

        sys.argv = ["efficient-empathy", *arguments]
        try:
            main()
        finally:
            if modules is not None:
                modules.write_text(json.dumps(list(sys.modules)))

    return work


def import_all(names: Iterable[str]) -> None:
    """Import what children would."""
    for name in names:
        with suppress(BaseException):
            importlib.import_module(name)


def wait(pid: int, until: float) -> int | None:
    """The exit status of a child, None where it has none by then."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.002)


def _be_child(work: Callable[[], None], root: Path, said: Path, moments: Path, kill_at: int) -> None:
    status = 1
    try:
        os.setsid()
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(handle, stream)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        Moments(str(root), moments, kill_at).watch()
        work()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


class Moments:
    """Counts the moments of this process at which its files in a folder are about to change; kills it at one."""

    def __init__(self, root: str, log: Path, kill_at: int) -> None:
        self._root, self._kill_at, self._count = root, kill_at, 0
        self._log = -1 if kill_at else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def watch(self) -> None:
        """Begin."""
        moment = self._moment
        sync, connect = os.fsync, sqlite3.connect

        def fsync(handle: int) -> None:
            moment("fsync", str(Path(f"/proc/self/fd/{handle}").readlink()))
            sync(handle)

        class Connection(sqlite3.Connection):
            place = ""

            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                moment("sql", f"{self.place} {sql[:40]}")
                return super().execute(sql, *parameters)

            def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                moment("sql", f"{self.place} {sql[:40]}")
                return super().executemany(sql, *parameters)

            def executescript(self, sql: str) -> sqlite3.Cursor:
                moment("sql", f"{self.place} {sql[:40]}")
                return super().executescript(sql)

        def connect_watched(place: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(place, *arguments, **{"factory": Connection, **options})
            if isinstance(connection, Connection):
                connection.place = str(place)
            return connection

        os.fsync, sqlite3.connect = fsync, connect_watched  # type: ignore[assignment]
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(c in mode for c in "wax+") if isinstance(mode, str) else isinstance(flags, int) and flags & 3
            if writes:
                self._moment(event, str(path))
        elif event in ALWAYS:
            self._moment(event, " -> ".join(str(one) for one in arguments[: 2 if event == "os.rename" else 1]))

    def _moment(self, event: str, place: str) -> None:
        if self._root not in place:
            return
        self._count += 1
        if self._log >= 0:
            os.write(self._log, f"{event} {place.replace(self._root, '')}\n".encode("utf-8", "replace"))
        if self._count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
