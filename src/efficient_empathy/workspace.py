"""A run's folder: where each artifact lies, its manifest, and writes that are whole or absent."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from efficient_empathy.errors import UserError

_HELD: set[Path] = set()
"""The runs that this process holds."""


class Workspace:
    """The folder of one run. Every artifact has one place in it; `manifest.json` says what went into each."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.samples = self.root / "samples.parquet"
        self.ledger = self.root / "ledger.sqlite"
        self.scores = self.root / "scores.parquet"
        self.selection = self.root / "selection"
        self.assignments = self.selection / "assignments.parquet"
        self.manifest_path = self.root / "manifest.json"
        self.experts = self.root / "experts"
        self.moe = self.root / "moe"
        self.average = self.root / "average"
        self.comparison = self.root / "comparison.json"
        self.generations = self.root / "generations"
        self.evaluation = self.root / "evaluation.json"
        self.sweep = self.root / "sweep"
        self.tuning = self.root / "tuning"
        self.ratings = self.root / "ratings"
        self.analytics = self.root / "analytics"
        self.report = self.root / "report.html"

    def create(self) -> Workspace:
        """Make the folder where it is missing."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the run's folder {self.root}: {error.strerror}") from error
        return self

    def require(self, path: Path, stage: str) -> Path:
        """`path`, or a `UserError` that names the stage which makes it."""
        if not path.exists():
            raise UserError(f"{path} is missing: run `efficient-empathy {stage}` with --run {self.root} first")
        return path

    def manifest(self) -> dict[str, Any]:
        """The manifest: `{"stages": {name: record}}`, empty before the first stage."""
        if not self.manifest_path.exists():
            return {"stages": {}}
        try:
            loaded: dict[str, Any] = json.loads(self.manifest_path.read_text("utf-8"))
            if not isinstance(loaded.get("stages"), dict):
                raise ValueError("it has no stages")
        except (ValueError, AttributeError) as error:
            raise UserError(f"{self.manifest_path} is no manifest ({error}): delete it and score again") from error
        return loaded

    def stage(self, name: str) -> dict[str, Any]:
        """The manifest's record of one stage, empty if it has not run."""
        record: dict[str, Any] = self.manifest()["stages"].get(name, {})
        return record

    def record(self, name: str, record: dict[str, Any]) -> None:
        """Write one stage's record, with the versions it was made with."""
        manifest = self.manifest()
        versions = {"efficient-empathy": version("efficient-empathy"), "python": platform.python_version()}
        manifest["stages"][name] = {**record, "finished_at": time.time(), "versions": versions}
        with atomic(self.manifest_path) as path:
            path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the run for one process at a time; `waiting` is called once if another holds it.

        A process that holds it may take it again. The kernel drops the lock with its process, so a killed one never
        blocks the next. Raises `UserError` where the run's folder is missing or cannot be written to.
        """
        key = self.root.resolve()
        if key in _HELD:
            yield
            return
        if not self.root.is_dir():
            raise UserError(
                f"{self.root} is no run's folder: `efficient-empathy score SOURCE --run {self.root}` makes it"
            )
        try:
            handle = (self.root / ".lock").open("w")
        except OSError as error:
            raise UserError(f"cannot write to the run's folder {self.root}: {error.strerror}") from error
        with handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if waiting is not None:
                        waiting()
                        waiting = None
                    time.sleep(0.2)
            _HELD.add(key)
            try:
                yield
            finally:
                _HELD.discard(key)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed onto it, synced, when the block ends well, else removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sweep(path: Path) -> None:
    """Remove what killed processes left of their writes to `path`."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        pid = left.name.split(".")[-2]
        if pid.isdigit() and not process_exists(int(pid)):
            left.unlink(missing_ok=True)


def process_exists(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
