"""The command `check`: everything that can be wrong with a run, and what to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import JsonValue
from rich.console import Console

from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.figures.formatting import plural, size
from efficient_empathy.foundation.model_folder import model_files
from efficient_empathy.foundation.run.corrections import FILE, CorrectionCounts, Corrections, read_corrections
from efficient_empathy.foundation.run.manifest import Artifact, Manifest
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import UNFINISHED, Workspace
from efficient_empathy.integrity.artifacts import faults_of
from efficient_empathy.integrity.commands import command_of, place
from efficient_empathy.integrity.ledgers import database_fault, databases, judgement_count, part_faults, scores_fault
from efficient_empathy.integrity.leftovers import leftovers
from efficient_empathy.integrity.record import CheckResult, Problem
from efficient_empathy.integrity.records import unreadable
from efficient_empathy.modelling.generation.replies import reply_names, require_replies
from efficient_empathy.modelling.training.models import require_intact
from efficient_empathy.scoring.rubric import read_rubric

MANIFEST, SCORES = "manifest.json", "scores.parquet"
INNER = {"sweep": "sweep", "tuning": "tune"}
"""The stages whose folders hold models with manifests of their own."""
SHOWN = 3
"""Files that a stage was made from, as far as they are named."""
FEW = 2
"""Of a stage with so many files one stands for both."""


def check(workspace: Workspace, *, console: Console | None = None) -> CheckResult:
    """Read a whole run and say what is wrong with it. Nothing is changed, but for the hashes that are remembered.

    Every file that a stage wrote is hashed, whatever its size and time say; every ledger is checked by SQLite, and the
    scores beside what the ledger holds; stages that were interrupted, or made from files that are not there any more,
    are named with the command that makes them again, each after those that it reads; so are records that this program
    cannot read. Raises `UserError` for what is no
    run's folder.
    """
    console = console or Console(stderr=True)
    if not workspace.root.is_dir() or not (workspace.manifest_path.exists() or workspace.samples.exists()):
        raise UserError(f"{workspace.root} is no run's folder: `efficient-empathy score SOURCE --run …` makes one")
    workspace.require_files()
    with _held(workspace) as notes:
        try:
            manifest = workspace.manifest()
        except UserError as error:
            fault, _, remedy = str(error).removeprefix(f"{workspace.manifest_path} ").rpartition(": put ")
            lost = Problem(stage="", path=MANIFEST, fault=fault, remedy=f"put {remedy}")
            return _result(workspace, Manifest(stages={}), 0, 0, [lost], notes)
        left = list(leftovers(workspace))  # before anything is written, which sweeps some of it
        files = read = 0
        problems: list[Problem] = []
        for own in (workspace, *_inner(workspace)):
            count, size_read, found = _files(own, workspace, console)
            files, read, problems = files + count, read + size_read, problems + found
        problems += [*_stages(workspace, manifest), *_unknown(workspace, manifest)]
        problems += unreadable(workspace, manifest, lambda stage: _command(workspace, stage))
        broken = {problem.path for problem in problems}
        problems += [*_ledgers(workspace, broken), *left]
        return _result(workspace, manifest, files, read, problems, notes)


def _result(
    workspace: Workspace, manifest: Manifest, files: int, read: int, problems: list[Problem], notes: list[str]
) -> CheckResult:
    return CheckResult(
        run=str(workspace.root),
        whole=not problems,
        stages=len(manifest.stages),
        files=files,
        bytes=read,
        judgements=sum(map(judgement_count, databases(workspace.root))),
        corrections=_corrections(workspace),
        problems=tuple(sorted(problems, key=lambda problem: place(problem.stage))),
        notes=tuple(notes),
    )


def _corrections(workspace: Workspace) -> CorrectionCounts | None:
    """What people have corrected, where that can be read."""
    try:
        counts = RunTable(workspace).count_corrections()
    except UserError:
        return None
    return counts if counts.any else None


@contextmanager
def _held(workspace: Workspace) -> Iterator[list[str]]:
    """The run held against other commands, if it can be; notes on why it is not."""
    lock = FileLock(workspace.root.resolve() / ".lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield ["another process is working on the run: check it again when that has ended"]
        return
    except OSError:  # a disk that cannot be written to
        yield []
        return
    try:
        yield []
    finally:
        lock.release()


def _inner(workspace: Workspace) -> list[Workspace]:
    """The models of sweeps and tunings, each of which has a manifest of its own."""
    paths = sorted([*workspace.sweep.glob(f"cells/*/{MANIFEST}"), *workspace.tuning.glob(f"proxies/*/{MANIFEST}")])
    return [Workspace(path.parent) for path in paths]


def _files(own: Workspace, run: Workspace, console: Console) -> tuple[int, int, list[Problem]]:
    """The finished files of a manifest: how many, their bytes, and what is wrong with them, stage by stage."""
    manifest = own.manifest()
    finished = {key: artifact for key, artifact in manifest.artifacts.items() if manifest.is_finished(artifact)}
    faults, read = faults_of(own, finished, console)
    problems = []
    for key in sorted(faults):
        path = (own.root / key).relative_to(run.root).as_posix()
        stage = finished[key].stage if own is run else INNER[path.partition("/")[0]]
        problems.append(Problem(stage=stage, path=path, fault=faults[key], remedy=_command(run, stage)))
    return len(finished), read, problems


def _command(workspace: Workspace, stage: str) -> str:
    manifest = workspace.manifest()
    return command_of(workspace.root, stage, manifest.entry(stage), manifest.entry("score"))


def _stages(workspace: Workspace, manifest: Manifest) -> Iterator[Problem]:
    """Stages that were interrupted, and those made from files that are not what they were."""
    try:
        said = read_corrections(workspace.corrections)
    except UserError as error:
        fault, _, remedy = str(error).partition(": ")
        yield Problem(stage="", path=workspace.corrections.name, fault=f"is damaged ({fault})", remedy=remedy)
        said = Corrections()
    for stage in sorted(manifest.stages, key=place):
        entry = manifest.entry(stage)
        if manifest.is_interrupted(stage) or entry.get("ending") == "begun":
            yield Problem(
                stage=stage, path=_about(manifest, stage), fault=UNFINISHED, remedy=_command(workspace, stage)
            )
        elif earlier := sorted(set(_changed_inputs(entry, manifest.artifacts, said.digest))):
            names = ", ".join(earlier[:SHOWN]) + (f" and {len(earlier) - SHOWN} more" if len(earlier) > SHOWN else "")
            fault = f"was made from an earlier {names}"
            yield Problem(stage=stage, path=_about(manifest, stage), fault=fault, remedy=_command(workspace, stage))


def _about(manifest: Manifest, stage: str) -> str:
    """What a stage wrote, in one path: its file, or the folder of its files; the stage's name where there are more."""
    paths = sorted(manifest.artifacts_of(stage))
    if 0 < len(paths) <= FEW:
        return paths[-1]
    folders = {Path(path).parent.as_posix() for path in paths}
    return folders.pop() if len(folders) == 1 else stage


def _changed_inputs(entry: JsonValue, artifacts: dict[str, Artifact], said: str) -> Iterator[str]:
    """The run's files that a stage's record has another hash of than the manifest has now.

    `said` is the digest of people's corrections, on which all hangs that was decided from the scores.
    """
    if not isinstance(entry, dict):
        return
    for key, value in entry.items():
        if key in ("inputs", "sources") and isinstance(value, dict):
            for path, sha256 in value.items():
                artifact = artifacts.get(path)
                if artifact is not None and artifact.sha256 is not None and artifact.sha256 != sha256:
                    yield path
            if SCORES in value and value.get(FILE, "") != said:
                yield FILE
        else:
            yield from _changed_inputs(value, artifacts, said)


def _unknown(workspace: Workspace, manifest: Manifest) -> Iterator[Problem]:
    """Models and responses that the manifest does not know, and that nothing else vouches for."""
    known = {(workspace.root / key).parent for key in manifest.artifacts}
    folders = sorted(workspace.experts.glob("[!.]*")) if workspace.experts.is_dir() else []
    for folder in (*folders, *workspace.composed):
        if folder.is_dir() and folder not in known and model_files(folder):
            try:
                require_intact(workspace, folder)
            except UserError:
                stage = f"train:{folder.name}" if folder.parent == workspace.experts else "mix"
                path = folder.relative_to(workspace.root).as_posix()
                yield Problem(stage=stage, path=path, fault=f"is not in {MANIFEST}", remedy=_command(workspace, stage))
    for name in reply_names(workspace):
        key = f"generations/{name}.parquet"
        if key not in manifest.artifacts:
            try:
                require_replies(workspace, name)
            except UserError:
                stage, fault = f"generate:{name}", "is not what its .json says"
                yield Problem(stage=stage, path=key, fault=fault, remedy=_command(workspace, stage))


def _ledgers(workspace: Workspace, broken: set[str]) -> Iterator[Problem]:
    """What is wrong with the databases, the rubric, and the scores beside the ledger."""
    score, whole = _command(workspace, "score"), True
    for path in databases(workspace.root):
        if fault := database_fault(path):
            whole = whole and path != workspace.ledger
            key = path.relative_to(workspace.root).as_posix()
            remedy = "put an earlier copy back, or move it away and run the command that wrote it again"
            yield Problem(stage="score", path=key, fault=fault, remedy=remedy)
        for part, fault in part_faults(path):
            whole = False
            key, remedy = part.relative_to(workspace.root).as_posix(), "put it back as it was"
            yield Problem(stage="score", path=key, fault=fault, remedy=remedy)
    entry = workspace.manifest().entry("score")
    if not entry or not workspace.scores.exists() or workspace.scores.name in broken:
        return
    if not workspace.ledger.exists():
        fault = "is missing, so that every judgement would be asked for again"
        yield Problem(
            stage="score", path=workspace.ledger.name, fault=fault, remedy="put it back, or score again with --force"
        )
        return
    rubric = entry.get("rubric")
    digest = str(rubric.get("hash")) if isinstance(rubric, dict) else ""
    if read_rubric(workspace, digest) is None:
        fault = "is missing, or has changed since it was written"
        yield Problem(stage="score", path=f"rubrics/{digest}.yaml", fault=fault, remedy=score)
    elif whole and (difference := scores_fault(workspace)):
        yield Problem(stage="score", path=workspace.scores.name, fault=difference, remedy=score)


def summary(result: CheckResult) -> str:
    """The result in words: a line for each problem, in the order in which they are put right."""
    notes = [f"Note: {note}." for note in result.notes]
    notes += [result.corrections.text()] if result.corrections else []
    if result.whole:
        counts = f"{result.files:,} files ({size(result.bytes)}) of {result.stages} stages are as they were written"
        ledger = f", {result.judgements:,} judgements are in order" if result.judgements else ""
        return "\n".join([f"{result.run} is whole: {counts}{ledger}, and nothing is out of date.", *notes])
    lines = list(dict.fromkeys(problem.text() for problem in result.problems))
    lines.append(f"{result.run} is not whole: {plural(len(lines), 'problem')}, to be put right from the top.")
    recipe = Path(result.run) / "recipe.yaml"
    if recipe.exists():
        lines.append(f"All of it at once: efficient-empathy run {recipe} --run {shell(result.run)}")
    return "\n".join([*lines, *notes])
