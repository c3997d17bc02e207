"""Commands that the studio starts: each in a process of its own that outlives the studio, with its output kept.

A job is a command as a terminal would run it, so it takes the same lock, writes the same records and goes on where it
was stopped. What it printed and how it ended lie in the studio's own folder. Keys that were typed for a run are held
in memory and given to that run's processes as environment variables; they are never written.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.files import process_exists
from efficient_empathy.foundation.run.record import Part, Record
from efficient_empathy.foundation.terminal import visible

MOST = 200
"""Jobs whose output is kept; the oldest that have ended go first."""
LOG_BYTES = 1 << 16
"""Of a job's output as much is shown, from its end."""
State = Literal["running", "stopping", "done", "failed", "stopped", "lost"]
"""lost: it ended while no studio was there to see how."""
VERDICTS = (3, 4, 5, 6)
"""Exit statuses of `prompts test` that say what it found, not that it failed."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class JobRecord(Record):
    """What is kept of one job."""

    PLACE: ClassVar[str] = "the studio's folder, jobs/ID/job.json"
    REMEDY: ClassVar[str] = "the command again"

    id: str
    root: str
    """The run's folder."""
    command: tuple[str, ...]
    """Its words after `efficient-empathy`."""
    folder: str
    """Where it was started."""
    pid: int
    started_at: float
    """Unix seconds, as `ended_at`."""
    ended_at: float | None = None
    code: int | None = None
    """How it ended; None while it runs, and where nobody saw its end."""
    stopped: bool = False
    """Whether somebody asked it to stop."""


class Job(Part):
    """A job as pages show it."""

    id: str
    title: str
    """The command's name, such as train."""
    command: tuple[str, ...]
    folder: str
    pid: int
    state: State
    code: int | None
    started_at: float
    seconds: float
    last_line: str
    """The last line of its output: how far it is, or what went wrong."""

    @property
    def is_at_work(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("running", "stopping")


class Jobs:
    """The jobs of all runs. Any thread may ask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "jobs"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._known: dict[str, JobRecord] = {}
        self._keys: dict[Path, dict[str, str]] = {}
        self._lock = threading.RLock()

    def remember_key(self, root: Path, variable: str, key: str) -> None:
        """Give processes of this run a key in an environment variable, as long as the studio runs."""
        with self._lock:
            self._keys.setdefault(root, {})[variable] = key

    def environment(self, root: Path) -> dict[str, str]:
        """The environment of a run's processes: the studio's own, and the keys that were typed for the run."""
        return {**os.environ, **self._keys.get(root, {})}

    def start(self, root: Path, command: Sequence[str], folder: Path | None = None) -> Job:
        """Start `efficient-empathy` with these words, in the folder that the studio was started in by default.

        Raises `UserError` where a job of this run is at work already.
        """
        with self._lock:
            if running := self.running(root):
                raise UserError(f"{running.title} is at work already: wait for its end, or stop it first")
            job_id = f"{time.time_ns():x}-{secrets.token_hex(3)}"
            place, where = self._folder / job_id, folder or Path.cwd()
            with error_context("start a job", "make room on the disk of the studio's own folder"):
                self._folder.mkdir(0o700, parents=True, exist_ok=True)
                place.mkdir(0o700)
                with (place / "output.txt").open("wb") as output:
                    child = subprocess.Popen(
                        [sys.executable, "-P", "-m", "efficient_empathy", *command],
                        cwd=where, env=self.environment(root), stdin=subprocess.DEVNULL, stdout=output,
                        stderr=subprocess.STDOUT, start_new_session=True,
                    )  # fmt: skip
            record = JobRecord(
                id=job_id, root=str(root), command=tuple(command), folder=str(where), pid=child.pid,
                started_at=time.time(),
            )  # fmt: skip
            try:
                self._write(record)
            except UserError:
                del self._known[job_id]
                os.killpg(child.pid, signal.SIGKILL)  # nobody could see or stop it
                raise
            self._children[job_id] = child
            threading.Thread(target=self._see_end, args=(child, place), daemon=True).start()
            self._forget_old()
        return self._shown(record)

    def of(self, root: Path) -> list[Job]:
        """The jobs of one run, the latest first."""
        return [self._shown(record) for record in self._records() if record.root == str(root)]

    def running(self, root: Path) -> Job | None:
        """The job that is at work on a run."""
        return next((job for job in self.of(root) if job.is_at_work), None)

    def output(self, root: Path, job_id: str) -> str:
        """The end of what a job of the run printed. Raises `UserError` where there is no such job."""
        self._record(root, job_id)
        return _output(self._folder / job_id)

    def stop(self, root: Path, job_id: str) -> Job:
        """Ask a job to end; one that was asked before is killed, with all that it started. Raises `UserError`."""
        with self._lock:
            record = self._record(root, job_id)
            if self._state(record) not in ("running", "stopping"):
                raise UserError(f"{_title(record)} has ended already")
            asked_before, record = record.stopped, record.model_copy(update={"stopped": True})
            self._write(record)
            with contextlib.suppress(ProcessLookupError):
                if asked_before:
                    os.killpg(record.pid, signal.SIGKILL)
                else:
                    os.kill(record.pid, signal.SIGTERM)
            return self._shown(record)

    def move(self, root: Path, target: Path | None) -> None:
        """Let the jobs of a run follow it to another folder; with None forget them, and the run's keys."""
        with self._lock:
            keys = self._keys.pop(root, None)
            if target is not None and keys:
                self._keys[target] = keys
            for record in self._records():
                if record.root == str(root) and target is None:
                    shutil.rmtree(self._folder / record.id, ignore_errors=True)
                elif record.root == str(root):
                    self._write(record.model_copy(update={"root": str(target)}))

    def _records(self) -> list[JobRecord]:
        """All jobs, the latest first; those of other studios of this user included."""
        with self._lock:
            try:
                names = sorted((path.name for path in self._folder.iterdir()), reverse=True)
            except OSError:
                return []
            for name in names:
                known = self._known.get(name)
                if known is None or known.ended_at is None:
                    with contextlib.suppress(UserError):  # one that was cut short, or is of another version
                        self._known[name] = JobRecord.read(self._folder / name / "job.json")
            return [self._known[name] for name in names if name in self._known]

    def _write(self, record: JobRecord) -> None:
        self._known[record.id] = record  # also where the disk does not take it: what has ended is not at work
        record.write(self._folder / record.id / "job.json")

    def _record(self, root: Path, job_id: str) -> JobRecord:
        record = next((one for one in self._records() if one.id == job_id and one.root == str(root)), None)
        if record is None:
            raise UserError("there is no such job of this run")
        return record

    def _see_end(self, child: subprocess.Popen[bytes], place: Path) -> None:
        code = child.wait()
        with self._lock, contextlib.suppress(UserError, OSError):
            record = JobRecord.read(place / "job.json")
            self._write(record.model_copy(update={"code": code, "ended_at": time.time()}))

    def _state(self, record: JobRecord) -> State:
        if record.ended_at is not None:
            done = record.code in (0, *(VERDICTS if record.command[:2] == ("prompts", "test") else ()))
            return "done" if done else "stopped" if record.stopped else "failed"
        child = self._children.get(record.id)
        if child is not None or started_with(record.pid, record.command, record.folder):
            return "stopping" if record.stopped else "running"
        return "stopped" if record.stopped else "lost"

    def _shown(self, record: JobRecord) -> Job:
        output = _output(self._folder / record.id)
        lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("Next: ")]
        return Job(
            id=record.id,
            title=_title(record),
            command=record.command,
            folder=record.folder,
            pid=record.pid,
            state=self._state(record),
            code=record.code,
            started_at=record.started_at,
            seconds=(record.ended_at or time.time()) - record.started_at,
            last_line=lines[-1][:400] if lines else "",
        )

    def _forget_old(self) -> None:
        for record in self._records()[MOST:]:
            if self._state(record) not in ("running", "stopping"):
                shutil.rmtree(self._folder / record.id, ignore_errors=True)


def shown_path(path: Path) -> str:
    """A path as a user would type it: from the folder that the studio was started in, where it lies there."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def command_line(words: Sequence[str]) -> str:
    """The command as it is typed in a terminal."""
    return shlex.join(["efficient-empathy", *words])


def started_with(pid: int, command: Sequence[str], folder: str) -> bool:
    """Whether a process was in truth started with these arguments in this folder; no where the system is silent."""
    process = Path("/proc") / str(pid)
    if not process_exists(pid):
        return False
    try:
        words = process.joinpath("cmdline").read_bytes().removesuffix(b"\0").split(b"\0")
        same = words[-len(command) :] == [os.fsencode(word) for word in command]
        return same and Path(folder).samefile(process / "cwd")
    except (OSError, ValueError):
        return False


def flags(values: Mapping[str, object]) -> list[str]:
    """Words such as `--max-cost=5` for the values that are there; True stands alone, and a list repeats its flag."""
    words: list[str] = []
    for name, value in values.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                words.append(name)
            elif one is not None and one is not False and one != "":
                words.append(f"{name}={one}")
    return words


def _title(record: JobRecord) -> str:
    return " ".join(record.command[: 2 if record.command[0] == "prompts" else 1])


def _output(place: Path) -> str:
    """The end of the output, without what a terminal would do with it."""
    try:
        with (place / "output.txt").open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - LOG_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(visible(line.rsplit("\r", 1)[-1]) for line in lines)
