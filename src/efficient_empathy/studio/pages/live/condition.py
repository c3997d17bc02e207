"""Whether a run is being scored now, by whom, and how the last scoring ended: from its sign of life and its lock."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace, process_exists
from efficient_empathy.scoring.progress import PROGRESS, Progress

QUIET_S = 4.0
"""A process on this machine that has said nothing for so long is looked after; it writes once a second."""
AWAY_S = 20.0
"""The same for one on another machine, whose clock and disk may differ."""

Condition = Literal["none", "running", "stopping", "silent", "died", "complete", "stopped", "budget", "error"]
"""none: nothing was ever scored here by a process that tells of itself. silent: it says nothing, but may be there."""


class ScoringState(BaseModel):
    """What is known of a run's scoring: its condition, and what the process reported last."""

    condition: Condition
    report: Progress | None = None

    @property
    def working(self) -> bool:
        """Whether a process is at it, for all that is known."""
        return self.condition in ("running", "stopping")


def scoring_state(workspace: Workspace, now: float | None = None) -> ScoringState:
    """The run's scoring. A file that is none of scoring's is as good as none."""
    try:
        report = Progress.read(workspace.root / PROGRESS)
    except UserError:
        return ScoringState(condition="none")
    if report.state not in ("running", "stopping"):
        return ScoringState(condition=report.state, report=report)
    quiet = abs((time.time() if now is None else now) - report.written_at)
    if report.host != socket.gethostname():
        return ScoringState(condition=report.state if quiet < AWAY_S else "silent", report=report)
    if not process_exists(report.pid) or (quiet >= QUIET_S and not locked(workspace)):
        return ScoringState(condition="died", report=report)
    return ScoringState(condition=report.state if quiet < QUIET_S else "silent", report=report)


def locked(workspace: Workspace) -> bool:
    """Whether some process holds the run; see `Workspace.lock`."""
    try:
        with (workspace.root / ".lock").open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holds(pid: int, workspace: Workspace) -> bool:
    """Whether that very process has the run's lock file open, where the system tells; else whether anyone holds it."""
    opened = Path("/proc") / str(pid) / "fd"
    if not Path("/proc/self/fd").is_dir():
        return locked(workspace)
    lock = str((workspace.root / ".lock").resolve())
    with contextlib.suppress(OSError):
        for handle in opened.iterdir():
            with contextlib.suppress(OSError):
                if str(handle.readlink()) == lock:
                    return True
    return False
