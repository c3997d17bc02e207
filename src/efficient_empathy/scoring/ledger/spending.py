"""What a worker may have spent, in a file of its own: what it was given and has not used is known after a kill, too."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

from efficient_empathy.foundation.errors import write_context
from efficient_empathy.foundation.run.files import sync
from efficient_empathy.llm.errors import Draining

NAME = "spent"
_CLOSED = f"{NAME}.closed"
_WIDTH = 32


class SpendingFile:
    """Is told, before a request goes out, up to how many US dollars a worker has spent with it.

    Raises `Draining` where somebody has taken the file away, since they count on nothing more being spent.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._handle: int | None = None

    def __call__(self, usd: float) -> None:
        """The word stands when this returns, past a power cut, too."""
        with write_context(self._path):
            if self._handle is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                sync(self._path.parent)
            os.pwrite(self._handle, f"{usd!r:<{_WIDTH}}".encode(), 0)
            os.fsync(self._handle)
        if not self._path.exists():
            raise Draining


def close_spending(folder: Path) -> float:
    """Up to how many US dollars the worker of a folder has spent, who spends no more from now on.

    Infinity where that is lost.
    """
    closed = folder / _CLOSED
    with suppress(FileNotFoundError):
        (folder / NAME).replace(closed)
    try:
        return float(closed.read_text("ascii"))
    except FileNotFoundError:
        return 0.0
    except ValueError:
        return math.inf
