"""Hashes that were worked out once: of files that copying gave another time, and of all that `check` has read.

A file whose size and time are as the manifest has them is trusted without reading it, unless a hash that is known of
it, at just that size and time, says otherwise.
"""

from __future__ import annotations

import contextlib
import json
from os import stat_result
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic

NAME = ".hashes.json"
"""In a run's folder. Without it, files are hashed once more."""


class KnownHashes:
    """The hashes that are known of a run's files, by their path in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._new: dict[str, list[object]] = {}
        self._known = self._read()

    def of(self, key: str, status: stat_result) -> str | None:
        """The hash that a file was found to have when its size and time were those of `status`, if one is known."""
        match self._known.get(key):
            case [status.st_size, status.st_mtime_ns, str(sha256)]:
                return sha256
        return None

    def add(self, key: str, status: stat_result, sha256: str) -> None:
        """A file was found to have this hash at the size and time of `status`."""
        self._new[key] = [status.st_size, status.st_mtime_ns, sha256]

    def save(self) -> None:
        """Keep what was added; where nothing can be written, nothing is."""
        if all(self._known.get(key) == entry for key, entry in self._new.items()):
            return
        with contextlib.suppress(UserError), atomic(self._root / NAME) as path:
            path.write_text(json.dumps(self._read() | self._new) + "\n", "utf-8")

    def _read(self) -> dict[str, list[object]]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            content = json.loads((self._root / NAME).read_text("utf-8"))
            if isinstance(content, dict):
                return content
        return {}
