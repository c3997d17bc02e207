"""The files of a folder, on disk or in an object store, and which of them are read: those of the one format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.dialogues.containers import (
    UnknownContentError,
    container_of,
    data_files,
    in_order,
)
from efficient_empathy.dialogues.containers.zip_file import ABOUT, DataFile
from efficient_empathy.dialogues.formats import find_reader
from efficient_empathy.dialogues.formats.samples import Samples
from efficient_empathy.dialogues.recognition import format_of, is_of
from efficient_empathy.dialogues.rows import Intake
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError, require_utf8, shell
from efficient_empathy.foundation.guard import leads_out
from efficient_empathy.foundation.objects.address import display_name
from efficient_empathy.foundation.objects.copies import Copies, RemoteFile, ahead
from efficient_empathy.foundation.objects.store import Store
from efficient_empathy.foundation.push.record import NAME as PUSHED
from efficient_empathy.foundation.push.record import PushRecord

_OFFICIAL = re.compile(r"(train|valid|test)\.csv(\.(gz|bz2|xz|zst))?")
_OFFICIAL_FORMAT = "empathetic-dialogues"
_SAMPLES, _MANIFEST = "samples.parquet", "manifest.json"
"""What every run's folder has, once a source was read into it."""
_SELECTION = ("assignments.parquet", "dataset_info.json")
"""What the folder of a run's selection has, beside each subset twice."""
_NO_DATA = {".txt", ".py", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".log", ".html", ".pdf"}
_NO_DATA |= {".png", ".jpg", ".jpeg", ".gif", ".webp", ".opus", ".mp3", ".m4a", ".mp4", ".vcf"}


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's files, by split (train, valid, test, unknown), then by name.

    Hidden ones are left out, and what describes the data (README, LICENSE and other Markdown). `links` lead out of it
    and are not followed: whoever filled it may not know what they show.
    """

    name: str
    files: list[DataFile]
    links: list[DataFile]

    def file(self, name: str) -> DataFile | None:
        """The file of this name."""
        return next((file for file in (*self.files, *self.links) if file.name == name), None)


def folder_on_disk(folder: Path) -> Folder:
    """A folder's files. Raises `UserError` where it cannot be read."""
    try:
        paths = [path for path in folder.iterdir() if path.is_file()]
        links = [DataFile(path) for path in sorted(paths) if leads_out(path, (folder,))]
        files = [DataFile(folder / require_utf8(path.name)) for path in paths if not ABOUT.match(path.name)]
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return Folder(str(folder), in_order([file for file in files if file not in links]), links)


def folder_of_objects(url: str, store: Store, copies: Copies) -> Folder:
    """The objects in a folder of a store; those of size 0 that stand for folders are none."""
    entries = [entry for entry in store.listing(url) if not ABOUT.match(entry.name)]
    return Folder(display_name(url), in_order([DataFile(RemoteFile(entry, copies)) for entry in entries]), [])


def files_in(folder: Folder, reading: ReadingSettings) -> tuple[str, list[DataFile], list[DataFile]]:
    """The one format of what a folder holds, the files that are of it, and the others.

    A run's folder is its samples. A selection is an error: it has selected and discarded samples, each in two files.
    """
    if all(folder.file(name) for name in _SELECTION):
        raise UserError(
            f"{folder.name} is a selection, with each subset in two files: pass one, such as {_subset(folder)}"
        )
    if folder.links and not folder.files:
        raise UserError(
            f"{folder.name} has only links that lead out of it, such as {folder.links[0].name}: pass what they lead to"
        )
    _require_complete(folder)
    samples = folder.file(_SAMPLES)
    if reading.format in (None, Samples.name) and samples and folder.file(_MANIFEST):
        return Samples.name, [samples], [file for file in folder.files if file != samples]
    parts = [part for file in ahead(folder.files, DataFile.beginning) for part in data_files(file, reading)]
    return files_of_format(folder.name, parts, reading)


def _require_complete(folder: Folder) -> None:
    """Refuse the folder of a store where a push has not come to its end."""
    record = folder.file(PUSHED)
    if record is not None and isinstance(record.place, RemoteFile):
        pushed = PushRecord.model_validate_json(record.path.read_bytes(), context={"file": record})
        if not pushed.complete:
            raise UserError(
                f"{folder.name} is not whole: a push of the run {pushed.run} was interrupted there, or is under way. "
                f"`efficient-empathy push {shell(pushed.run)} {shell(folder.name)}` finishes it"
            )


def files_of_format(
    whole: str, files: list[DataFile], reading: ReadingSettings
) -> tuple[str, list[DataFile], list[DataFile]]:
    """The one format of the files of a folder or zip, those that are of it, and the others.

    EmpatheticDialogues' official files are read alone where they are found. Files of several formats are an error,
    unless a format is named.
    """
    chosen = _official(files, reading)
    format_name = _OFFICIAL_FORMAT
    if not chosen:
        looked_at = _likely_data(files, reading)
        formats = _formats(looked_at, reading)
        if len(looked_at) == 1 and not formats and reading.format is None:
            format_of(looked_at[0], reading)
        if not formats:
            kind = f"the format {reading.format}" if reading.format else "a known format"
            names = ", ".join(file.name for file in looked_at[:20]) or "no file"
            raise UserError(f"{whole} has no file of {kind} (looked at {names}): pass a file")
        if len(set(formats.values())) > 1:
            which = "; ".join(f"{file.name} is {name}" for file, name in formats.items())
            raise UserError(f"{whole} has files of different formats ({which}): pass one file, or --format")
        format_name, chosen = next(iter(formats.values())), list(formats)
    return format_name, chosen, _others(files, chosen)


def _others(files: list[DataFile], chosen: list[DataFile]) -> list[DataFile]:
    of_these = set(chosen)
    return [file for file in files if file not in of_these]


def _likely_data(files: list[DataFile], reading: ReadingSettings) -> list[DataFile]:
    """The files that their names do not show to be something else; all, where none is left."""
    data = [file for file in files if Path(file.name).suffix.lower() not in _NO_DATA or _is_dialogue(file, reading)]
    return data or files


def _is_dialogue(file: DataFile, reading: ReadingSettings) -> bool:
    """Whether a file of text is dialogue line by line, such as the export of a chat."""
    try:
        return file.name.lower().endswith(".txt") and container_of(file, Intake(reading)) == "text"
    except UserError:
        return False


def _official(files: list[DataFile], reading: ReadingSettings) -> list[DataFile]:
    official = [file for file in files if _OFFICIAL.fullmatch(file.name)]
    if not official or reading.format not in (None, _OFFICIAL_FORMAT):
        return []
    formats = _formats(official, reading.model_copy(update={"format": None}))
    return list(formats) if set(formats.values()) == {_OFFICIAL_FORMAT} else []


def _subset(folder: Folder) -> str:
    """One of a selection's subsets that has rows, where there is one."""
    tables = [file for file in folder.files if file.name.endswith(".jsonl")]
    tables.sort(key=lambda file: (file.size == 0, file.name == "discard.jsonl", file.name))
    return str(tables[0]) if tables else f"{folder.name}/sensibility.jsonl"


def _formats(files: list[DataFile], reading: ReadingSettings) -> dict[DataFile, str]:
    formats: dict[DataFile, str] = {}
    reader = find_reader(reading.format) if reading.format else None
    for file in ahead(files, DataFile.beginning):
        try:
            if reader is None:
                formats[file] = format_of(file, reading)
            elif is_of(file, reader, reading):
                formats[file] = reader.name
        except UnknownContentError:
            continue
    return formats


def files_of_file(file: DataFile, reading: ReadingSettings) -> tuple[str, list[DataFile], list[DataFile]]:
    """As `files_of_format` has it, for one file, which may be a zip of several."""
    members = data_files(file, reading)
    likely = _likely_data(members, reading)
    if len(likely) > 1:
        return files_of_format(str(file), members, reading)
    return reading.format or format_of(likely[0], reading), likely, _others(members, likely)
