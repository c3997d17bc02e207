"""Which files of a folder are read."""

from __future__ import annotations

import re
from pathlib import Path

from efficient_empathy.dialogues.containers import UnknownContentError
from efficient_empathy.dialogues.formats import reader_named
from efficient_empathy.dialogues.formats.samples import Samples
from efficient_empathy.dialogues.recognition import Columns, format_of, is_of
from efficient_empathy.dialogues.rows import split_in_name
from efficient_empathy.foundation.errors import UserError

_OFFICIAL = re.compile(r"(train|valid|test)\.csv(\.gz)?")
_OFFICIAL_FORMAT = "empathetic-dialogues"
_SAMPLES, _MANIFEST = "samples.parquet", "manifest.json"
"""What every run's folder has, once a source was read into it."""
_SELECTION = ("assignments.parquet", "dataset_info.json")
"""What the folder of a run's selection has, beside each subset twice."""
_NO_DATA = {".txt", ".py", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".log", ".html", ".pdf", ".png"}
_ABOUT = re.compile(r"[._]|README|LICENSE|.*\.md$", re.IGNORECASE)
_SPLIT_ORDER = {"train": 0, "valid": 1, "test": 2}


def listed(folder: Path) -> list[Path]:
    """The folder's files, by split (train, valid, test, none told), then by name.

    Hidden ones are left out, and what tells of the data: README, LICENSE and other Markdown.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not _ABOUT.match(path.name)]
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return sorted(files, key=lambda path: (_SPLIT_ORDER.get(split_in_name(path) or "", 3), path.name))


def choose(folder: Path, format_name: str | None, columns: Columns) -> tuple[str, list[Path]]:
    """The one format of a folder's files, and those that are of it.

    A run's folder is its samples. EmpatheticDialogues' official files are read alone where they are found. Files of
    several formats are an error, unless a format is named; so is a selection, which has selected and discarded samples,
    each in two files.
    """
    if all((folder / name).is_file() for name in _SELECTION):
        raise UserError(f"{folder} is a selection, with each subset in two files: pass one, such as {_subset(folder)}")
    if format_name in (None, Samples.name) and (folder / _SAMPLES).is_file() and (folder / _MANIFEST).is_file():
        return Samples.name, [folder / _SAMPLES]
    files = [path for path in listed(folder) if path.suffix.lower() not in _NO_DATA]
    official = [path for path in files if _OFFICIAL.fullmatch(path.name)]
    if format_name in (None, _OFFICIAL_FORMAT) and official:
        found = _formats(official, None, columns)
        if set(found.values()) == {_OFFICIAL_FORMAT}:
            return _OFFICIAL_FORMAT, list(found)
    found = _formats(files, format_name, columns)
    if not found:
        wanted = f"the format {format_name}" if format_name else "a known format"
        names = ", ".join(path.name for path in files[:20]) or "no file"
        raise UserError(f"{folder} has no file of {wanted} (looked at {names}): pass a file")
    if len(set(found.values())) > 1:
        which = "; ".join(f"{path.name} is {name}" for path, name in found.items())
        raise UserError(f"{folder} has files of different formats ({which}): pass one file, or --format")
    return next(iter(found.values())), list(found)


def _subset(folder: Path) -> Path:
    subsets = sorted(folder.glob("*.jsonl"), key=lambda path: (path.stat().st_size == 0, path.name == "discard.jsonl"))
    return subsets[0] if subsets else folder / "sensibility.jsonl"


def _formats(files: list[Path], format_name: str | None, columns: Columns) -> dict[Path, str]:
    found: dict[Path, str] = {}
    reader = reader_named(format_name) if format_name else None
    for path in files:
        try:
            if reader is None:
                found[path] = format_of(path, columns)
            elif is_of(path, reader, columns):
                found[path] = reader.name
        except UnknownContentError:
            continue
    return found
