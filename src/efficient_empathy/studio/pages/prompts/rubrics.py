"""The rubrics that a studio knows: the package's, those of its runs, and those that were edited here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import yaml

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.record import Record
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.prompts.listing import known_rubrics, rubric_in
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.scoring.rubric import BUNDLED, Rubric
from efficient_empathy.studio.server.runs import RUN_NAME

FOLDER = "rubrics"
"""The folder, beside the runs, of rubrics that were edited here."""
_YAML = (".yaml", ".yml")


class AdoptedRubric(Record):
    """The rubric that New run offers first."""

    PLACE: ClassVar[str] = f"{FOLDER}/adopted.json beside the runs"
    REMEDY: ClassVar[str] = "the studio, and adopt the rubric again"

    name: str
    """Of a rubric that was edited here."""
    at: float
    """Unix seconds."""


@dataclass
class KnownRubric:
    """A rubric, by what name it can be chosen for a new run (empty: by none), its text, and the runs scored by it."""

    rubric: Rubric
    reference: str = ""
    text: str = ""
    runs: list[str] = field(default_factory=list)


def own_folder(runs_folder: Path) -> Path:
    """Where edited rubrics lie."""
    return runs_folder / FOLDER


def own_files(runs_folder: Path) -> list[Path]:
    """The files of edited rubrics, by name."""
    folder = own_folder(runs_folder)
    return sorted(path for path in folder.glob("*") if path.suffix in _YAML) if folder.is_dir() else []


def references(runs_folder: Path) -> dict[str, str]:
    """What a new run's rubric can be: by what is shown, what `score --rubric` takes."""
    return {name: name for name in BUNDLED} | {path.stem: str(path) for path in own_files(runs_folder)}


def adopted(runs_folder: Path) -> str:
    """The name of the rubric that New run offers first: one that was adopted and is still there, else the package's."""
    try:
        record = AdoptedRubric.read_if_there(_adopted_file(runs_folder))
    except UserError:
        record = None
    return record.name if record and record.name in references(runs_folder) else BUNDLED[0]


def adopt(runs_folder: Path, name: str) -> None:
    """Let New run offer this rubric first. Raises `UserError` for a name that there is not."""
    known = references(runs_folder)
    if name not in known:
        raise UserError(f"there is no rubric {name[:80]!r} here: choose one of {', '.join(known)}")
    _adopted_file(runs_folder).parent.mkdir(parents=True, exist_ok=True)
    AdoptedRubric(name=name, at=time.time()).write(_adopted_file(runs_folder))


def _adopted_file(runs_folder: Path) -> Path:
    return own_folder(runs_folder) / "adopted.json"


def rubrics_of_studio(runs_folder: Path, runs: Iterable[tuple[str, Workspace]]) -> list[KnownRubric]:
    """Every rubric: the package's first, then those edited here, then those that only runs have."""
    known: dict[str, KnownRubric] = {}
    for name in BUNDLED:
        text = (files("efficient_empathy.scoring") / "rubrics" / f"{name}.yaml").read_text("utf-8")
        rubric = Rubric.load(name)
        known[rubric.hash] = KnownRubric(rubric, name, text)
    for path in own_files(runs_folder):
        try:
            own = rubric_in(path)
        except (UserError, OSError):
            continue
        if own is not None:
            known.setdefault(own.hash, KnownRubric(own, path.stem, path.read_text("utf-8")))
    for name, workspace in runs:
        found = known_rubrics([workspace.root, workspace.rubrics])
        used = _hash_of(workspace)
        if used in found and used not in known:
            text = yaml.safe_dump(found[used].model_dump(), sort_keys=False, allow_unicode=True, width=120)
            known[used] = KnownRubric(found[used], text=text)
        if used in known:
            known[used].runs.append(name)
    return list(known.values())


def save(runs_folder: Path, name: str, text: str) -> Path:
    """Keep an edited rubric. Raises `UserError` for a text that is no rubric, and for a name that is taken."""
    if not RUN_NAME.fullmatch(name) or name in BUNDLED:
        raise UserError(
            f"{name[:80]!r} is no name for a rubric of your own: use letters, digits, and - _ . between them"
        )
    path = own_folder(runs_folder) / f"{name}.yaml"
    if path.exists() and path.read_text("utf-8") != text:
        raise UserError(f"there is a rubric {name} already: give the copy another name, so that both can be compared")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{name}.draft.yaml")
    try:
        draft.write_text(text, "utf-8")
        Rubric.load(draft)
    except UserError as error:
        raise UserError(f"{error}".replace(str(draft), "your text")) from error
    finally:
        draft.unlink(missing_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(text, "utf-8")
    return path


def _hash_of(workspace: Workspace) -> str:
    try:
        record = workspace.stage(SCORE, ScoreRecord)
    except UserError:
        return ""
    return record.rubric.hash if record else ""
