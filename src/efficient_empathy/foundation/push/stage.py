"""The command `push`: what a run's stages have written, put into a folder of an object store.

Each object is whole or absent. `push.json` says what is there, and whether that is all: it is rewritten before the
first object changes and after each one, so that a push that was killed goes on where it was, and nobody takes its
folder for whole. Objects that no push of this run has put there are neither replaced nor deleted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.figures.formatting import plural, size
from efficient_empathy.foundation.objects.address import display_name, is_url, is_web, within
from efficient_empathy.foundation.objects.store import Entry, Store
from efficient_empathy.foundation.push.record import NAME, PushedFile, PushRecord, PushResult
from efficient_empathy.foundation.push.settings import PushSettings
from efficient_empathy.foundation.run.files import hash_anew
from efficient_empathy.foundation.run.manifest import Manifest
from efficient_empathy.foundation.run.workspace import Workspace

_AT_ONCE = 4
_MANIFEST = "manifest.json"
_MADE_BY = {"read": "score"}
"""By stage the command that makes it, where that has another name."""


def push(
    workspace: Workspace, url: str, settings: PushSettings | None = None, *, console: Console | None = None
) -> PushResult:
    """Put a run's files into a folder of an object store, those that are not there as they are.

    The files are those that finished stages have written, people's corrections, and the manifest. Raises `UserError`
    where one of them is not as its stage left it, where another run or an object of somebody else is in the way, and as
    `Store` does.
    """
    settings, console = settings or PushSettings(), console or Console(stderr=True)
    began = time.monotonic()
    if not is_url(url) or is_web(url):
        raise UserError(f"{url} is no folder of an object store: pass a URL such as s3://bucket/runs/mine")
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        manifest = workspace.manifest()
        files = _files(workspace, manifest, settings)
        left_out = tuple(sorted(stage for stage in manifest.stages if manifest.is_interrupted(stage)))
        done = _Push(workspace, url, files, settings)
        if done.changed or done.gone or not done.complete:
            done.run(console)
    changed = [files[path] for path in done.changed]
    return PushResult(
        url=display_name(url),
        files=len(files),
        bytes=sum(one.size for one in files.values()),
        uploaded=len(changed),
        uploaded_bytes=sum(one.size for one in changed),
        deleted=len(done.gone),
        left_out=left_out,
        seconds=round(time.monotonic() - began, 2),
        skipped=not changed and not done.gone,
    )


def _files(workspace: Workspace, manifest: Manifest, settings: PushSettings) -> dict[str, PushedFile]:
    """What is to be there, the manifest last. Raises `UserError` where a file is not as its stage left it."""
    stages = {one.stage for one in manifest.artifacts.values()}
    commands = {stage: {stage, stage.partition(":")[0], _MADE_BY.get(stage, stage)} for stage in stages}
    if unknown := [one for one in settings.only if not any(one in names for names in commands.values())]:
        raise UserError(f"{workspace.root} has no files of the stage {unknown[0]}: it has {', '.join(sorted(stages))}")
    wanted = {stage for stage in stages if not settings.only or not commands[stage].isdisjoint(settings.only)}
    artifacts = {k: one for k, one in manifest.artifacts.items() if one.stage in wanted and manifest.is_finished(one)}
    if not artifacts:
        raise UserError(f"{workspace.root} has no files to push: `efficient-empathy score SOURCE --run …` makes some")
    for path, fault in workspace.faults(workspace.root / key for key in artifacts).items():
        raise UserError(f"{path} {fault}: `efficient-empathy check {shell(workspace.root)}` says what makes it again")
    files = {key: PushedFile(sha256=str(one.sha256), size=int(one.size or 0)) for key, one in artifacts.items()}
    by_people = [workspace.corrections] if workspace.corrections.exists() and not settings.only else []
    for path in (*by_people, workspace.manifest_path):
        files[path.name] = PushedFile(sha256=hash_anew(path), size=path.stat().st_size)
    return files


class _Push:
    """One push: what the store has, and what is to be done to it."""

    def __init__(self, workspace: Workspace, url: str, files: Mapping[str, PushedFile], settings: PushSettings) -> None:
        self._run, self._folder = workspace.root, url
        self._store = Store(url)
        record = PushRecord.there(self._store, url)
        name = workspace.root.resolve().name
        if record is not None and record.run != name and not settings.overwrite:
            raise UserError(f"{display_name(url)} holds the run {record.run}: pass another folder, or --overwrite")
        self.complete = record is not None and record.complete
        self._before = dict(record.files) if record else {}
        self._record = record or PushRecord(run=name, complete=False, files={})
        self._record = self._record.model_copy(update={"run": name, "complete": False})
        there = self._entries({*files, *self._before})
        same = {k for k in files if k in self._before and self._before[k].sha256 == files[k].sha256}
        self.changed = [key for key in files if key not in same or not self._before[key].is_at(there.get(key))]
        others = [] if settings.only else [key for key in self._before if key not in files]
        self.gone = [key for key in others if self._before[key].is_at(there.get(key))]
        self._files = {key: one for key, one in self._before.items() if key not in others}
        self._wanted = files
        self._lock = threading.Lock()
        if not settings.overwrite:
            self._require_ours(there)

    def _entries(self, keys: set[str]) -> dict[str, Entry]:
        folders = {str(PurePosixPath(key).parent) for key in keys}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listings = pool.map(
                lambda one: self._store.listing(within(self._folder, "" if one == "." else one)), folders
            )
            pairs = zip(folders, listings, strict=True)
            return {str(PurePosixPath(folder) / entry.name): entry for folder, found in pairs for entry in found}

    def _require_ours(self, there: Mapping[str, Entry]) -> None:
        for key in self.changed:
            known, entry = self._before.get(key), there.get(key)
            if entry is not None and (known is None or (known.etag is not None and not known.is_at(entry))):
                raise UserError(
                    f"{entry} is in the way, and no push of this run has put it there: pass another folder, or "
                    "--overwrite"
                )

    def run(self, console: Console) -> None:
        """Put and delete what is to be put and deleted, and the record last."""
        console.print(f"{plural(len(self.changed), 'file')} to put to {display_name(self._folder)}")
        self._files |= {key: self._wanted[key] for key in self.changed}
        self._note()
        last = [key for key in self.changed if key == _MANIFEST]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                list(pool.map(self._put, [key for key in self.changed if key not in last]))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for key in last:
            self._put(key)
        for key in self.gone:
            self._store.delete(within(self._folder, key))
        self._note(complete=True)

    def _put(self, key: str) -> None:
        url = within(self._folder, key)
        if key in self._before:
            self._store.abandon(url)
        entry = self._store.put(self._run / Path(key), url)
        with self._lock:
            self._files[key] = self._wanted[key].model_copy(update={"etag": entry.version})
            self._note()

    def _note(self, *, complete: bool = False) -> None:
        files = dict(sorted(self._files.items()))
        record = self._record.model_copy(update={"files": files, "complete": complete})
        self._store.write(within(self._folder, NAME), record.json_text().encode())


def summary(result: PushResult, run: Path) -> str:
    """The result of `push` in words."""
    if result.skipped:
        lines = [f"{result.url} has all {plural(result.files, 'file')} of {run} ({size(result.bytes)}) already."]
    else:
        what = f"{plural(result.uploaded, 'file')} ({size(result.uploaded_bytes)}) of {result.files:,}"
        lines = [f"{what} put to {result.url} in {result.seconds:.0f} s."]
    if result.deleted:
        lines.append(f"{plural(result.deleted, 'object')} of an earlier push deleted, as the run has them no more.")
    if result.left_out:
        lines.append(f"Left out, as they were interrupted: {', '.join(result.left_out)}.")
    return "\n".join(lines)
