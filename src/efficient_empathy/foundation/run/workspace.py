"""A run's folder: where each artifact lies, and its manifest, by which each is known."""

from __future__ import annotations

import contextlib
import json
import platform
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout
from pydantic import JsonValue, ValidationError

from efficient_empathy.foundation.errors import UserError, require_utf8, shell
from efficient_empathy.foundation.guard import leads_out
from efficient_empathy.foundation.permissions import require, write_to
from efficient_empathy.foundation.run.files import atomic, entries, file_hash, hash_anew, in_place, is_special
from efficient_empathy.foundation.run.known_hashes import KnownHashes
from efficient_empathy.foundation.run.manifest import Artifact, Manifest, first_fault

if TYPE_CHECKING:
    from efficient_empathy.foundation.run.record import StageRecord

Entry = TypeVar("Entry", bound="StageRecord")
CHANGED, UNFINISHED = "has changed since it was written", "was not finished"
"""What is wrong with a file of another size or hash, and with one whose stage has not come to its end."""
NO_FILE = "is no file"
_MOST_ABOVE = 4
"""So many folders lie between a record and its run at most."""
_POLL_S = 0.2
"""How often a run that another thread or process holds is tried again."""
_NO_NAME = re.compile("~|[^/]*:")
"""What polars takes for the home folder or a URL where a path begins with it."""


class Workspace:
    """The folder of one run. Every artifact has one place in it; `manifest.json` says what went into each."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if _NO_NAME.match(str(self.root)):
            self.root = self.root.absolute()
        self.samples = self.root / "samples.parquet"
        self.ledger = self.root / "ledger.sqlite"
        self.scores = self.root / "scores.parquet"
        self.corrections = self.root / "corrections.jsonl"
        self.rubrics = self.root / "rubrics"
        self.selection = self.root / "selection"
        self.assignments = self.selection / "assignments.parquet"
        self.synthesis = self.root / "synthesis"
        self.synthetic = self.synthesis / "kept.parquet"
        self.manifest_path = self.root / "manifest.json"
        self.experts = self.root / "experts"
        self.moe = self.root / "moe"
        self.average = self.root / "average"
        self.ties = self.root / "ties"
        self.comparison = self.root / "comparison.json"
        self.generations = self.root / "generations"
        self.evaluation = self.root / "evaluation.json"
        self.sweep = self.root / "sweep"
        self.tuning = self.root / "tuning"
        self.ratings = self.root / "ratings"
        self.analytics = self.root / "analytics"
        self.report = self.root / "report.html"

    @property
    def composed(self) -> tuple[Path, ...]:
        """The folders of what `mix` makes of the experts."""
        return self.average, self.ties, self.moe

    def create(self) -> Workspace:
        """Make the folder where it is missing, for its owner alone (mode 700); one that is there keeps its mode."""
        require_utf8(str(self.root))
        try:
            self.root.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the run's folder {self.root}: {error.strerror}") from error
        return self

    def require(self, path: Path, stage: str) -> Path:
        """`path`, or a `UserError` that names the stage which makes it: where it is missing, cut or edited."""
        if not path.exists():
            raise UserError(f"{path} is missing: run `efficient-empathy {stage} --run {shell(self.root)}` first")
        self.require_all([path], stage)
        return path

    def require_all(self, paths: Iterable[Path], stage: str) -> None:
        """Raise `UserError` for the first of `paths` that is not as `stage` wrote it."""
        for path, fault in self.faults(paths).items():
            raise UserError(
                f"{path} {fault}: run `efficient-empathy {stage} --run {shell(self.root)}` to make it again"
            )

    def manifest(self) -> Manifest:
        """The manifest, empty before the first stage. Raises `UserError` where the file is none, or was deleted."""
        if not self.manifest_path.exists() and self.scores.exists():
            raise UserError(
                f"{self.manifest_path} is missing, so no file of the run can be verified: put it back, or run "
                f"`efficient-empathy score SOURCE --run {shell(self.root)}` to make it again (judgements are kept)"
            )
        return self._manifest()

    def _manifest(self) -> Manifest:
        """The manifest as a stage changes it: empty where there is none."""
        if not self.manifest_path.exists():
            return Manifest(stages={})
        if not self.manifest_path.is_file():
            raise UserError(f"{self.manifest_path} {NO_FILE}: put an earlier copy in its place")
        try:
            return _parse(self.manifest_path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            reason = first_fault(error) if isinstance(error, ValidationError) else str(error)
            raise UserError(
                f"{self.manifest_path} is no manifest ({reason}): put an earlier copy back, or delete it and run "
                f"`efficient-empathy score SOURCE --run {shell(self.root)}` (judgements are kept)"
            ) from error

    def stage(self, name: str, model: type[Entry]) -> Entry | None:
        """The manifest's record of one stage; None if it has not run, or not come to its end.

        Raises `UserError` that says what to run where the entry is none of the model, or one of another version.
        """
        manifest = self.manifest()
        entry = manifest.entry(name)
        return model.of_entry(entry, self.manifest_path) if entry and not manifest.is_interrupted(name) else None

    def last(self, name: str, model: type[Entry]) -> Entry | None:
        """`stage`, and None also for an entry that cannot be read."""
        try:
            return self.stage(name, model)
        except UserError:
            return None

    def hash_of(self, path: Path) -> str:
        """SHA-256 of a stage's file, as the manifest has it; of the file itself where no stage has finished it."""
        return self.recorded_hash(path) or file_hash(path)

    def hashes(self, paths: Iterable[Path]) -> dict[str, str]:
        """`hash_of` of files of the run, by their path in it."""
        return {self._key(path): self.hash_of(path) for path in paths}

    def recorded_hash(self, path: Path) -> str | None:
        """The hash of a stage's file, as the manifest has it; None where no stage has finished it."""
        artifact = self.manifest().artifacts.get(self._key(path))
        return artifact.sha256 if artifact else None

    def begin(self, name: str, outputs: Iterable[Path]) -> None:
        """Note that a stage is about to write `outputs`: until it is recorded, they are not finished."""
        manifest = self._manifest().with_entry(name, {"interrupted": True})
        outputs_of_stage = {self._key(path): Artifact(stage=name) for path in outputs}
        self._write(manifest.with_artifacts(name, manifest.artifacts_of(name) | outputs_of_stage))

    def record(self, name: str, record: StageRecord, outputs: Iterable[Path] | None = None) -> None:
        """Write one stage's record, with the versions it was made with; `outputs` as of `keep`, None: as before."""
        content = json.loads(record.json_text())
        manifest = self._manifest()
        if outputs is not None:
            manifest = manifest.with_artifacts(name, self._artifacts(name, outputs))
        versions: dict[str, JsonValue] = {
            "efficient-empathy": version("efficient-empathy"),
            "python": platform.python_version(),
        }
        self._write(manifest.with_entry(name, {**content, "finished_at": time.time(), "versions": versions}))

    def keep(self, name: str, outputs: Iterable[Path]) -> None:
        """Note what the files are that a stage has written, by size and hash: these `outputs`, and no others."""
        artifacts = self._artifacts(name, outputs)
        self._write(self._manifest().with_artifacts(name, artifacts))

    def forget(self, name: str) -> None:
        """Take a stage, and what is noted of its files, out of the manifest."""
        manifest = self._manifest()
        if name in manifest.stages or manifest.artifacts_of(name):
            self._write(manifest.without(name))

    def note(self, name: str, folder: Path) -> None:
        """Note what the files in one folder are, of a stage that goes on; its other files stay as they are noted."""
        manifest = self._manifest()
        others = {k: one for k, one in manifest.artifacts_of(name).items() if (self.root / k).parent != folder}
        self._write(manifest.with_artifacts(name, others | self._artifacts(name, sorted(folder.iterdir()))))

    def outputs(self, name: str) -> list[Path]:
        """The files that a stage has written, or had begun to write, as the manifest has them."""
        return [self.root / path for path in self.manifest().artifacts_of(name)]

    def whole(self, name: str, *expected: Path) -> bool:
        """Whether all files that a stage has written are as it left them, and `expected` are among them.

        False where the manifest has no file of the stage: nothing vouches for what lies there.
        """
        outputs = self.outputs(name)
        return bool(outputs) and set(expected) <= set(outputs) and not self.faults(outputs)

    def fault(self, path: Path) -> str | None:
        """What is wrong with a stage's file, to follow its name; None where it is as written, or no stage wrote it."""
        return self.faults([path]).get(path)

    def faults(self, paths: Iterable[Path]) -> dict[Path, str]:
        """`fault` of several files: those that have one."""
        paths, manifest = list(paths), self.manifest()
        artifacts = {path: manifest.artifacts.get(self._key(path)) for path in paths}
        open_ones = {p: UNFINISHED for p, one in artifacts.items() if one is not None and not manifest.is_finished(one)}
        changes = self.changes([path for path in paths if path not in open_ones])
        return {path: fault for path in paths if (fault := open_ones.get(path) or changes.get(path))}

    def changes(self, paths: Iterable[Path]) -> dict[Path, str]:
        """`faults`, but without what an interrupted stage has left as far as it had come: it goes on from there.

        Size and time are compared first. Where the time differs the file is hashed, once for each time: a copy of a
        run is as whole as the run.
        """
        manifest, known = self.manifest(), KnownHashes(self.root)
        recorded = {path: manifest.artifacts.get(self._key(path)) for path in paths}
        finished = {path: one for path, one in recorded.items() if one is not None and one.sha256 is not None}
        with ThreadPoolExecutor() as pool:
            faults = pool.map(lambda path: self._change(path, finished[path], known), finished)
            changes = {path: fault for path, fault in zip(finished, faults, strict=True) if fault}
        known.save()
        unfinished = {path for path, one in finished.items() if manifest.is_interrupted(one.stage)}
        return {p: UNFINISHED if p in unfinished and fault == CHANGED else fault for p, fault in changes.items()}

    def _change(self, path: Path, artifact: Artifact, known: KnownHashes) -> str | None:
        key = self._key(path)
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return NO_FILE
            sha256 = known.of(key, status)
            if sha256 is None and (status.st_size, status.st_mtime_ns) == (artifact.size, artifact.mtime_ns):
                return None
            if sha256 != artifact.sha256 and status.st_size == artifact.size:
                sha256 = file_hash(path) if sha256 is None else hash_anew(path)
                known.add(key, status, sha256)
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return None if sha256 == artifact.sha256 else CHANGED

    def _artifacts(self, name: str, outputs: Iterable[Path]) -> dict[str, Artifact]:
        files = list(outputs)
        with ThreadPoolExecutor() as pool:
            artifacts = list(pool.map(partial(_artifact, name), files))
        return {self._key(path): artifact for path, artifact in zip(files, artifacts, strict=True)}

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _write(self, manifest: Manifest) -> None:
        with atomic(self.manifest_path) as path:
            path.write_text(json.dumps(manifest.model_dump(), indent=2, ensure_ascii=False) + "\n", "utf-8")

    @contextlib.contextmanager
    def lock(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the run for one thread of one process; `waiting` is called once if another holds it.

        The thread that holds it may take it again. The kernel drops the lock with its process, so a killed one never
        blocks the next. Raises `UserError` where the run's folder is missing or cannot be written to.
        """
        if not self.root.is_dir():
            raise UserError(
                f"{self.root} is no run's folder: `efficient-empathy score SOURCE --run {shell(self.root)}` makes it"
            )
        self._require_own_places()
        lock = FileLock(self.root.resolve() / ".lock", is_singleton=True)
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if waiting is not None:
                    waiting()
                lock.acquire(poll_interval=_POLL_S)
        except OSError as error:
            raise UserError(f"cannot write to the run's folder {self.root}: {error.strerror}") from error
        try:
            with in_place(self.root.absolute()):
                yield
        finally:
            lock.release()

    def _require_own_places(self) -> None:
        """Refuse a run whose files or folders are links to places elsewhere, where they would be read and written."""
        self.require_files()
        links = [path for path in entries(self.root) if path.is_symlink() and leads_out(path, (self.root,))]
        name = f"the run {self.root}, by its link {self._key(links[0])}," if links else ""
        require(name, map(write_to, links))

    def require_files(self) -> None:
        """Raise `UserError` for a pipe or a device in the run: who opens one waits for whoever has made it."""
        pipes = (path for path in entries(self.root) if is_special(path))
        if (pipe := next(pipes, None)) is not None:
            raise UserError(f"{pipe} is a pipe, a socket or a device, which no run has: delete it")


def change_in_run(path: Path) -> str | None:
    """What `Workspace.changes` says of a file in the run whose folder is above it; None where it lies in no run."""
    for folder in path.absolute().parents[:_MOST_ABOVE]:
        if (folder / "manifest.json").is_file():
            with contextlib.suppress(UserError):
                return Workspace(folder).changes([path.absolute()]).get(path.absolute())
            return None
    return None


@lru_cache(maxsize=4)
def _parse(text: str) -> Manifest:
    """A manifest from its file's text, not to be changed: commands and pages read the same one dozens of times."""
    return Manifest.model_validate(json.loads(text))


def _artifact(stage: str, path: Path) -> Artifact:
    status = path.stat()
    return Artifact(stage=stage, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=file_hash(path))
