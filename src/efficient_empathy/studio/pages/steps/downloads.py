"""The files of a run that can be downloaded: what its stages wrote for others to use, each as the manifest has it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.stages import SelectRecord
from efficient_empathy.foundation.run.workspace import Workspace

_WORDS = {
    "README.md": "the data card: what was kept, and why",
    "assignments.parquet": "every sample's subset and reason",
    "dataset_info.json": "for LLaMA-Factory: the data sets",
    "llamafactory.yaml": "for LLaMA-Factory: the training",
    "axolotl.yaml": "for Axolotl: the training",
    "train_unsloth.py": "for Unsloth: the training",
    "report.html": "the report, one page that needs nothing else",
    "evaluation.json": "the evaluation's figures",
    "comparison.json": "the mixture beside its experts",
    "recipe.yaml": "the recipe that makes this run again",
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file: its path in the run, what it is, and its size in bytes."""

    path: str
    words: str
    bytes: int

    @property
    def name(self) -> str:
        """Without folders."""
        return PurePosixPath(self.path).name


def subset_files(workspace: Workspace) -> list[Download]:
    """What `select` wrote: every subset as JSON lines and as Parquet, and what goes with them."""
    manifest = workspace.manifest()
    if SelectRecord.STAGE not in manifest.stages or manifest.is_interrupted(SelectRecord.STAGE):
        return []
    return [_download(workspace, path) for path in manifest.artifacts_of(SelectRecord.STAGE)]


def other_files(workspace: Workspace) -> list[Download]:
    """What later stages wrote for people to read: report, evaluation, responses, recipe."""
    responses = sorted(
        path for path in workspace.manifest().artifacts if path.startswith("generations/") and path.endswith(".parquet")
    )
    single = [path.relative_to(workspace.root).as_posix() for path in (
        workspace.report, workspace.evaluation, workspace.comparison, workspace.root / "recipe.yaml",
    )]  # fmt: skip
    return [_download(workspace, path) for path in (*single, *responses) if (workspace.root / path).is_file()]


def require_download(workspace: Workspace, path: str) -> Path:
    """The file of a download. Raises `UserError` for any other file, and for one that is not as its stage left it."""
    offers = {one.path for one in (*subset_files(workspace), *other_files(workspace))}
    if path not in offers:
        raise UserError(f"there is no download {path[:200]!r} of this run")
    artifact = workspace.manifest().artifacts.get(path)
    file = workspace.root / path
    return file if artifact is None else workspace.require(file, artifact.stage)


def write_zip(workspace: Workspace, downloads: Sequence[Download], target: Path, name: str) -> None:
    """All of these in one zip, in a folder `name`."""
    files = [(require_download(workspace, one.path), one.name) for one in downloads]
    with (
        error_context(f"write {target}"),
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
    ):
        for file, member in files:
            packed.write(file, f"{name}/{member}")


def _download(workspace: Workspace, path: str) -> Download:
    file = workspace.root / path
    words = _WORDS.get(file.name) or ("as a table" if file.suffix == ".parquet" else "as JSON lines, for fine-tuning")
    if path.startswith("generations/"):
        words = f"the responses of {file.stem}"
    return Download(path, words, file.stat().st_size if file.is_file() else 0)
