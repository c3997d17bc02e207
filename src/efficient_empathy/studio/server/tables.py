"""The table of each run, opened once for as long as its files are the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from starlette.exceptions import HTTPException

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable, signature
from efficient_empathy.foundation.run.workspace import Workspace

UNCATEGORISED = "uncategorised"
"""What pages call the category of samples that have none."""
_HELD = 16
_TRIES = 3
T = TypeVar("T")


class Tables:
    """The tables of runs, the last ones that were asked for. Any thread may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, RunTable] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, workspace: Workspace) -> RunTable:
        """The run's table. Raises `UserError` where the manifest cannot be read."""
        with self._lock:
            known = self._known.get(workspace.root)
            if known is None or known.signature != signature(workspace):
                known = self._known[workspace.root] = RunTable(workspace)
                while len(self._known) > _HELD:
                    self._known.popitem(last=False)
            self._known.move_to_end(workspace.root)
            return known

    def steady(self, workspace: Workspace, work: Callable[[RunTable], T]) -> T:
        """What `work` makes of a table whose files did not change meanwhile; it is tried three times.

        Raises `HTTPException` 409 where they change every time.
        """
        for _ in range(_TRIES):
            before = signature(workspace)
            try:
                table = self.of(workspace)
                result = work(table)
            except UserError:
                if signature(workspace) == before:
                    raise
                continue
            if signature(workspace) == table.signature:
                return result
        raise HTTPException(409, "The run's files are being written right now: try again in a moment.")
