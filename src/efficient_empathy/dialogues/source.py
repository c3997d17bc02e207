"""A source: a file, a folder or a data set of the Hugging Face hub, its format recognised, its samples read lazily."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.dialogues.containers import (
    UnknownContentError,
    container_of,
    data_files,
    in_order,
)
from efficient_empathy.dialogues.containers.zip_file import ABOUT, DataFile
from efficient_empathy.dialogues.formats import find_reader
from efficient_empathy.dialogues.formats.judged import EVALUATION, JudgedJSON
from efficient_empathy.dialogues.formats.message_rows import MessageRows
from efficient_empathy.dialogues.formats.samples import Samples
from efficient_empathy.dialogues.hub import HubId, hub_id
from efficient_empathy.dialogues.recognition import Part, format_of, is_of, rows_of
from efficient_empathy.dialogues.rows import (
    Intake,
    MalformedError,
    Row,
    each,
    require_value,
    show_value,
)
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError, error_context, require_utf8
from efficient_empathy.foundation.guard import leads_out

_OFFICIAL = re.compile(r"(train|valid|test)\.csv(\.(gz|bz2|xz|zst))?")
_OFFICIAL_FORMAT = "empathetic-dialogues"
_SAMPLES, _MANIFEST = "samples.parquet", "manifest.json"
"""What every run's folder has, once a source was read into it."""
_SELECTION = ("assignments.parquet", "dataset_info.json")
"""What the folder of a run's selection has, beside each subset twice."""
_NO_DATA = {".txt", ".py", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".log", ".html", ".pdf"}
_NO_DATA |= {".png", ".jpg", ".jpeg", ".gif", ".webp", ".opus", ".mp3", ".m4a", ".mp4", ".vcf"}


def list_files(folder: Path) -> list[Path]:
    """The folder's files, by split (train, valid, test, unknown), then by name.

    Hidden ones are left out, what describes the data (README, LICENSE and other Markdown), and links that lead out.
    """
    try:
        paths = [path for path in folder.iterdir() if path.is_file() and not ABOUT.match(path.name)]
        files = [DataFile(folder / require_utf8(path.name)) for path in paths]
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return [file.path for file in in_order(files) if not leads_out(file.path, (folder,))]


def list_links(folder: Path) -> list[DataFile]:
    """The folder's links to files elsewhere, which are not followed: whoever filled it may not know what they show."""
    return [DataFile(path) for path in sorted(folder.iterdir()) if path.is_file() and leads_out(path, (folder,))]


def files_in(folder: Path, reading: ReadingSettings) -> tuple[str, list[DataFile], list[DataFile]]:
    """The one format of what a folder holds, the files that are of it, and the others.

    A run's folder is its samples. A selection is an error: it has selected and discarded samples, each in two files.
    """
    if all((folder / name).is_file() for name in _SELECTION):
        raise UserError(f"{folder} is a selection, with each subset in two files: pass one, such as {_subset(folder)}")
    paths, links = list_files(folder), list_links(folder)
    if links and not paths:
        raise UserError(f"{folder} has only links that lead out of it, such as {links[0].name}: pass what they lead to")
    if reading.format in (None, Samples.name) and (folder / _SAMPLES).is_file() and (folder / _MANIFEST).is_file():
        return Samples.name, [DataFile(folder / _SAMPLES)], [DataFile(path) for path in paths if path.name != _SAMPLES]
    return files_of_format(folder, [file for path in paths for file in data_files(path, reading)], reading)


def files_of_format(
    whole: Path, files: list[DataFile], reading: ReadingSettings
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


def _subset(folder: Path) -> Path:
    subsets = sorted(folder.glob("*.jsonl"), key=lambda path: (path.stat().st_size == 0, path.name == "discard.jsonl"))
    return subsets[0] if subsets else folder / "sensibility.jsonl"


def _formats(files: list[DataFile], reading: ReadingSettings) -> dict[DataFile, str]:
    formats: dict[DataFile, str] = {}
    reader = find_reader(reading.format) if reading.format else None
    for file in files:
        try:
            if reader is None:
                formats[file] = format_of(file, reading)
            elif is_of(file, reader, reading):
                formats[file] = reader.name
        except UnknownContentError:
            continue
    return formats


@dataclass(slots=True)
class Source:
    """Samples to iterate, any number of times; `intake` counts what the latest pass dropped or repaired.

    `data_files` are those that are read, in order, none if it is a `hub` data set; `skipped_files` are the others of
    the folder or zip.
    """

    name: str
    format: str
    data_files: list[DataFile]
    intake: Intake
    skipped_files: list[Path] = field(default_factory=list)
    hub: HubId | None = None

    @property
    def files(self) -> list[Path]:
        """The files on disk that are read: a zip is one."""
        return list(dict.fromkeys(file.path for file in self.data_files))

    def __iter__(self) -> Iterator[Sample]:
        """The samples in order. Raises `UserError` for what cannot be read, `BadRowError` as the intake has it.

        At the end, `UserError` also for an option of reading that no row had a use for.
        """
        reader = find_reader(self.format)
        for rows in self.parts():
            yield from reader.samples(rows, self.intake)
        self.intake.require_use()

    def parts(self) -> Iterator[Iterator[Row]]:
        """The rows, file by file; begins a new count in `intake`."""
        self.intake.clear()
        parts: list[Part] = [self.hub] if self.hub else [*self.data_files]
        for part in parts:
            yield rows_of(part, self.intake)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all bytes of the files; of its id if it is a hub data set."""
        digest = hashlib.sha256(str(self.hub).encode() if self.hub else b"")
        for path in self.files:
            with error_context(f"read {path}"), path.open("rb") as stream:
                while chunk := stream.read(2**20):
                    digest.update(chunk)
        return digest.hexdigest()


def open_source(source: str | Path, reading: ReadingSettings | None = None) -> Source:
    """Find out what `source` is, and of which format; its samples are read when it is iterated.

    `source` is a file, a folder, `hub:org/name`, `hub:org/name:split`, `hub:FOLDER`, or `org/name` where no such path
    is. Raises `UserError` if nothing is there or its format is unknown.
    """
    reading = ReadingSettings.of(reading)
    intake = Intake(reading)
    if reading.format is not None:
        find_reader(reading.format)
        if reading.group_by is not None and reading.format != MessageRows.name:
            raise UserError(f"--group-by is for the format {MessageRows.name}, not {reading.format}: leave out one")
    path = Path(source)
    try:
        exists, is_folder = bool(str(source)) and path.exists(), path.is_dir()
    except (OSError, ValueError):
        exists = is_folder = False
    hub = hub_id(source) if isinstance(source, str) and not exists else None
    if hub is not None:
        return Source(str(source), reading.format or format_of(hub, reading), [], intake, hub=hub)
    if str(source) == "-" or (exists and not is_folder and not path.is_file()):
        raise UserError(
            f"{source} cannot be read: a source is read more than once, so it must be a file, not a stream or device: "
            "write it to a file first, and pass that"
        )
    if not exists:
        raise UserError(f"{source} is not found: there is no file or folder {path.absolute()}")
    name, files, others = files_in(path, reading) if is_folder else _file(path, reading)
    others += list_links(path) if is_folder else []
    return Source(str(source), name, files, intake, [Path(str(file)) for file in others])


def _file(path: Path, reading: ReadingSettings) -> tuple[str, list[DataFile], list[DataFile]]:
    """As `files_of_format` has it, for one file, which may be a zip of several."""
    members = data_files(path, reading)
    likely = _likely_data(members, reading)
    if len(likely) > 1:
        return files_of_format(path, members, reading)
    return reading.format or format_of(likely[0], reading), likely, _others(members, likely)


def read_evaluations(source: str | Path, reading: ReadingSettings | None = None) -> Iterator[tuple[Sample, str]]:
    """Every sample of judged JSON with its reply, as it stands; a row without a reply is a bad row."""
    dialogues = open_source(source, ReadingSettings.of(reading).model_copy(update={"format": JudgedJSON.name}))
    reader = JudgedJSON()

    def convert(row: Row) -> Iterator[tuple[Sample, str]]:
        reply = require_value(row.values, EVALUATION)
        if not isinstance(reply, str):
            raise MalformedError(f"{EVALUATION!r} is {show_value(reply)}, not text")
        for sample in reader.samples([row], dialogues.intake):
            yield sample, reply

    for rows in dialogues.parts():
        yield from each(rows, dialogues.intake, convert)
