"""The files of a run beside its manifest: each read whole and hashed, a few at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from os import stat_result
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from efficient_empathy.foundation.run.known_hashes import KnownHashes
from efficient_empathy.foundation.run.manifest import Artifact
from efficient_empathy.foundation.run.workspace import CHANGED, NO_FILE, Workspace

CHUNK = 1 << 20
"""Bytes that are read at once."""
AT_ONCE = 4
"""Files that are read at the same time."""
OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Hashed:
    """A file as it was read: its hash, and its size and time before that; else why it could not be."""

    sha256: str = ""
    status: stat_result | None = None
    fault: str = ""


def faults_of(workspace: Workspace, artifacts: Mapping[str, Artifact], console: Console) -> tuple[dict[str, str], int]:
    """What is wrong with finished files, by path, and the bytes that were read; hashes are kept for later commands."""
    paths = {key: workspace.root / key for key in artifacts}
    total = sum(_size(path) for path in paths.values())
    with _progress(console, total) as on_bytes, ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        hashed = dict(zip(paths, pool.map(lambda path: hash_whole(path, on_bytes), paths.values()), strict=True))
    known, faults = KnownHashes(workspace.root), {}
    for key, one in hashed.items():
        if one.status is not None:
            known.add(key, one.status, one.sha256)
        if one.fault or one.sha256 != artifacts[key].sha256:
            faults[key] = one.fault or CHANGED
    known.save()
    return faults, sum(one.status.st_size for one in hashed.values() if one.status is not None)


def hash_whole(path: Path, on_bytes: OnBytes = lambda count: None) -> Hashed:
    """Read a file and hash it, whatever is known of it."""
    digest = hashlib.sha256()
    try:
        if path.exists() and not path.is_file():
            return Hashed(fault=NO_FILE)
        with path.open("rb") as handle:
            status = os.fstat(handle.fileno())
            while chunk := handle.read(CHUNK):
                digest.update(chunk)
                on_bytes(len(chunk))
    except FileNotFoundError:
        return Hashed(fault="is missing")
    except OSError as error:
        return Hashed(fault=f"cannot be read ({error.strerror})")
    return Hashed(digest.hexdigest(), status)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def _progress(console: Console, total: int) -> Iterator[OnBytes]:
    """A bar on a terminal, nothing elsewhere."""
    if not console.is_terminal:
        yield lambda count: None
        return
    columns = (TextColumn("reading the run"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)
