"""The state of a run's scoring, and the ways to stop it and to go on with it.

A run's folder may come from anywhere, and whoever wrote its files must not be able to have this machine run a command
or end a process. So both are done only for what the studio started itself, and for a process that it has itself seen at
work here: one of this user's, on this machine, that has the run's lock open, as /proc tells. What it was started with
is remembered while it is seen, if it is what the process itself shows; it is started again as this same program, with
those arguments, in that folder, with the studio's own environment and the keys that were typed for the run (never those
of a file). For any other run, and where the system has no /proc, the page shows the command instead.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import process_exists
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.progress import PROGRESS, Progress, State
from efficient_empathy.studio.server.jobs import Job, Jobs, started_with

QUIET_S = 4.0
"""A process on this machine that has said nothing for so long is looked after; it writes once a second."""
JUDGING = ("score", "cascade", "refresh")
"""The commands that judge a run's samples."""
AWAY_S = 20.0
"""The same for one on another machine, whose clock and disk may differ."""

Condition = Literal["none", "silent", "died"] | State
"""none: nothing was ever scored here by a process that tells of itself. silent: it says nothing, but may be there."""


class ScoringState(BaseModel):
    """What is known of a run's scoring: its condition, and what the process reported last."""

    condition: Condition
    report: Progress | None = None

    @property
    def working(self) -> bool:
        """Whether a process is at it, for all that is known."""
        return self.condition in ("running", "stopping")


class Controls(Part):
    """What can be done, else the command to copy, and what went wrong."""

    can_stop: bool
    can_go_on: bool
    starting: bool
    command: str | None
    stop_command: str | None
    failure: str


def scoring_state(workspace: Workspace, now: float | None = None) -> ScoringState:
    """The run's scoring. A file that scoring did not write counts as absent."""
    try:
        report = Progress.read(workspace.root / PROGRESS)
    except UserError:
        return ScoringState(condition="none")
    if report.state not in ("running", "stopping"):
        return ScoringState(condition=report.state, report=report)
    quiet = abs((time.time() if now is None else now) - report.written_at)
    if report.host != socket.gethostname():
        return ScoringState(condition=report.state if quiet < AWAY_S else "silent", report=report)
    if not process_exists(report.pid) or (quiet >= QUIET_S and not is_locked(workspace)):
        return ScoringState(condition="died", report=report)
    return ScoringState(condition=report.state if quiet < QUIET_S else "silent", report=report)


def is_locked(workspace: Workspace) -> bool:
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
    """Whether that very process has the run's lock file open; no, where the system does not tell."""
    lock = str((workspace.root / ".lock").resolve())
    with contextlib.suppress(OSError):
        for handle in (Path("/proc") / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(handle.readlink()) == lock:
                    return True
    return False


@dataclass(frozen=True)
class StartCommand:
    """How a process that was seen at work had been started."""

    command: tuple[str, ...]
    folder: str


class Control:
    """Stopping one run's scoring, and going on with it."""

    def __init__(self, workspace: Workspace, jobs: Jobs) -> None:
        self.workspace = workspace
        self._jobs = jobs
        self._seen: StartCommand | None = None
        self._last_pid = 0

    @property
    def start_command(self) -> StartCommand | None:
        """What `go_on` runs again: the command of the last process seen at work, or that the studio started itself."""
        job = self._job()
        return self._seen or (StartCommand(job.command, job.folder) if job else None)

    def _job(self) -> Job | None:
        """The latest job of this run that judges."""
        return next((job for job in self._jobs.of(self.workspace.root) if job.title in JUDGING), None)

    def see(self, scoring: ScoringState) -> None:
        """Remember how a process was started, while it is at work and ours."""
        report = scoring.report
        if report is None or not scoring.working or report.pid == self._last_pid:
            return
        if self._ours(report):
            self._last_pid, self._seen = report.pid, None
            if report.command and started_with(report.pid, report.command, report.folder):
                self._seen = StartCommand(tuple(report.command), report.folder)

    def describe(self, scoring: ScoringState) -> Controls:
        """What the page offers."""
        working, has_ended = scoring.working, scoring.condition in ("died", "stopped", "waiting", "budget", "error")
        ours = scoring.report is not None and scoring.condition == "running" and self._ours(scoring.report)
        job = self._job()
        starting = job is not None and job.is_at_work and (scoring.report is None or scoring.report.pid != job.pid)
        return Controls(
            can_stop=bool(ours and scoring.report and _signal(scoring.report)),
            can_go_on=has_ended and self.start_command is not None and not self.starting,
            starting=starting,
            command=_start_line(scoring.report) if has_ended or scoring.condition == "silent" else None,
            stop_command=_stop_line(scoring.report) if working or scoring.condition == "silent" else None,
            failure=self._failure(scoring),
        )

    @property
    def starting(self) -> bool:
        """Whether a process that the studio started is there."""
        job = self._job()
        return job is not None and job.is_at_work

    def stop(self) -> None:
        """Ask the process to finish what is in flight. Raises `UserError` where that is not ours to do."""
        scoring = scoring_state(self.workspace)
        report = scoring.report
        if report is None or not scoring.working:
            raise UserError("nothing is scoring this run now: there is nothing to stop")
        how = _signal(report)
        if how is None or not self._ours(report):
            raise UserError(f"the studio cannot stop that process: {_stop_line(report)}")
        try:
            _send(report.pid, how, self.workspace)
        except OSError as error:
            raise UserError(f"cannot stop the process {report.pid} ({error.strerror}): {_stop_line(report)}") from error

    def go_on(self) -> None:
        """Start again what was seen at work. Raises `UserError` where nothing was, or something is at work now."""
        scoring = scoring_state(self.workspace)
        if scoring.condition in ("running", "stopping", "silent") or self.starting:
            raise UserError("this run is being scored already")
        if self.start_command is None:
            raise UserError(
                "the studio only starts what it has itself seen scoring: run the command on the page in a terminal"
            )
        if not Path(self.start_command.folder).is_dir():
            raise UserError(f"scoring was started in {self.start_command.folder}, which is gone: start it yourself")
        self._jobs.start(self.workspace.root, self.start_command.command, Path(self.start_command.folder))

    def _ours(self, report: Progress) -> bool:
        """Whether it is a process of this user on this machine that has this run's lock open."""
        here = report.host == socket.gethostname() and process_exists(report.pid) and report.pid != os.getpid()
        try:
            os.kill(report.pid, 0) if here else None
        except OSError:
            return False
        return here and holds(report.pid, self.workspace)

    def _failure(self, scoring: ScoringState) -> str:
        """The last line of a job that ended with an error before its process told of itself."""
        job = self._job()
        if job is None or job.state != "failed" or job.code == 130 or scoring.condition == "error":
            return ""
        if scoring.report is not None and scoring.report.pid == job.pid:
            return ""
        return job.last_line or f"it ended with {job.code}"


def _send(pid: int, how: signal.Signals, workspace: Workspace) -> None:
    """Signal the process that holds the run, and no other that may have got its number meanwhile."""
    handle = os.pidfd_open(pid)
    try:
        if not holds(pid, workspace):
            raise ProcessLookupError(errno.ESRCH, "it has ended")
        signal.pidfd_send_signal(handle, how)
    finally:
        os.close(handle)


def _start_line(report: Progress | None) -> str | None:
    """The command for a terminal; None where the process did not tell it."""
    if report is None or not report.command:
        return None
    return f"cd {shlex.quote(report.folder)} && {shlex.join(['efficient-empathy', *report.command])}"


def _stop_line(report: Progress | None) -> str | None:
    """How a person stops it."""
    if report is None:
        return None
    where = "" if report.host == socket.gethostname() else f" on {report.host}"
    how = _signal(report)
    if how is None:
        return f"run `kill -KILL {report.pid}`{where}: the calls in flight are lost, all that was judged is kept"
    command = f"kill {report.pid}" if how is signal.SIGTERM else f"kill -{how.name.removeprefix('SIG')} {report.pid}"
    keys = ", or press Ctrl-C where it was started" if signal.SIGINT.name in report.stopped_by else ""
    return f"run `{command}`{where}{keys}"


def _signal(report: Progress) -> signal.Signals | None:
    """The signal that lets it finish what is in flight. SIGINT comes last: a process in the background ignores it."""
    return next((one for one in (signal.SIGTERM, signal.SIGINT) if one.name in report.stopped_by), None)
