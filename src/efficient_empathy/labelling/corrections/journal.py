"""How lines get into `corrections.jsonl`: one writer at a time, on the disk before anybody is told so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from efficient_empathy.foundation.errors import UserError, mask, write_context
from efficient_empathy.foundation.run.corrections import Correction, Corrections, parse_corrections
from efficient_empathy.foundation.run.files import sync
from efficient_empathy.foundation.run.workspace import Workspace

LOCK, TURN = ".corrections.lock", ".corrections.turn"
"""The lock of who writes, and of who writes next: so that one who writes on and on leaves room for the others."""
WAIT_S = 30.0
_POLL_S = 0.005


def append(workspace: Workspace, make: Callable[[Corrections], Sequence[Correction]]) -> list[Correction]:
    """Add what `make` makes of the corrections that are there, and numbers from where they end; all lines or none.

    When this returns, the lines are past a `kill -9` and a power cut. What a killed writer left of a line goes first.
    Raises `UserError` where the file cannot be written, or is damaged.
    """
    path = workspace.corrections
    if not workspace.root.is_dir():
        raise UserError(f"{workspace.root} is no run's folder")
    with _alone(workspace.root), write_context(path):
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            content = _read(descriptor)
            whole = content[: content.rfind(b"\n") + 1]
            lines = list(make(parse_corrections(whole, path)))
            if lines:
                _write(descriptor, len(whole), "".join(map(line_of, lines)).encode())
        finally:
            os.close(descriptor)
        if is_new:
            sync(path.parent)
    return lines


def line_of(correction: Correction) -> str:
    """A correction as its line, without keys that this process has sent."""
    return mask(correction.model_dump_json(exclude_defaults=False)) + "\n"


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the file against other writers; its own lock, as a command may hold the run for hours."""
    turn, lock = (FileLock(root.resolve() / name, timeout=WAIT_S, is_singleton=True) for name in (TURN, LOCK))
    try:
        with turn.acquire(poll_interval=_POLL_S):
            lock.acquire(poll_interval=_POLL_S)
    except TimeoutError as error:
        raise UserError(f"another process has written corrections to {root} for {WAIT_S:.0f} s: try again") from error
    except OSError as error:
        raise UserError(f"cannot write to the run's folder {root}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _read(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write(descriptor: int, at: int, content: bytes) -> None:
    """Put `content` at the end of what is whole; where that fails, nothing of it stays."""
    os.ftruncate(descriptor, at)
    try:
        done = 0
        while done < len(content):
            done += os.pwrite(descriptor, content[done:], at + done)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, at)
        raise
