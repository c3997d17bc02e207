"""The stores of the runs that a studio shows: each is opened once, and made when the first rating is set up."""

from __future__ import annotations

import threading
from pathlib import Path

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.rate.store import RatingStore

FILE = "studio.sqlite"


class Stores:
    """The open store of every run that has one."""

    def __init__(self) -> None:
        self._open: dict[Path, RatingStore] = {}
        self._turn = threading.Lock()

    def of(self, workspace: Workspace) -> RatingStore | None:
        """The run's store; None where nothing was ever rated."""
        return self.made(workspace) if (workspace.ratings / FILE).exists() else None

    def made(self, workspace: Workspace) -> RatingStore:
        """The run's store, made where it is missing."""
        path = workspace.ratings / FILE
        with self._turn:
            if path not in self._open:
                self._open[path] = RatingStore(path)
            return self._open[path]
