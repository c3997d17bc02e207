"""A source: a file, a folder or a data set of the Hugging Face hub, its format recognised, its samples read lazily."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues.containers import (
    UnknownContentError,
    container_of,
    data_files,
    file_rows,
    in_order,
)
from efficient_empathy.dialogues.containers.zip_file import ABOUT, DataFile
from efficient_empathy.dialogues.formats import find_reader, format_names, recognise_format
from efficient_empathy.dialogues.formats.judged import EVALUATION, JudgedJSON
from efficient_empathy.dialogues.formats.message_rows import MessageRows, columns_of
from efficient_empathy.dialogues.formats.reader import Reader
from efficient_empathy.dialogues.formats.samples import Samples
from efficient_empathy.dialogues.proposal import describe_columns, has_unread_turns, propose_options, rename_columns
from efficient_empathy.dialogues.rows import (
    SPLITS,
    Intake,
    MalformedError,
    Row,
    each,
    require_value,
    show_value,
)
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError, error_context, missing_extra

_PREFIX = "hub:"
_FILE_ENDINGS = {".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt", ".xlsx", ".xlsm", ".ndjson"}
_FILE_ENDINGS |= {".bz2", ".gz", ".xz", ".zip", ".zst"}
_ROWS_LOOKED_AT = 100
_KEYS_SHOWN = 12
_OFFICIAL = re.compile(r"(train|valid|test)\.csv(\.(gz|bz2|xz|zst))?")
_OFFICIAL_FORMAT = "empathetic-dialogues"
_SAMPLES, _MANIFEST = "samples.parquet", "manifest.json"
"""What every run's folder has, once a source was read into it."""
_SELECTION = ("assignments.parquet", "dataset_info.json")
"""What the folder of a run's selection has, beside each subset twice."""
_NO_DATA = {".txt", ".py", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".log", ".html", ".pdf"}
_NO_DATA |= {".png", ".jpg", ".jpeg", ".gif", ".webp", ".opus", ".mp3", ".m4a", ".mp4", ".vcf"}


@dataclass(frozen=True, slots=True)
class HubId:
    """A data set on the hub (`org/name`), or a folder that `load_dataset` reads; and one split, or all."""

    name: str
    split: str | None = None

    def __str__(self) -> str:
        return f"{_PREFIX}{self.name}" + (f":{self.split}" if self.split else "")


Part = DataFile | HubId


def hub_id(source: str) -> HubId | None:
    """The hub id that `source` is: with `hub:`, or `org/name` where no file or folder of the name can be meant."""
    if source.startswith(_PREFIX):
        name, _, split = source.removeprefix(_PREFIX).partition(":")
        return HubId(name, split or None)
    path = Path(source)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", source) or path.suffix in _FILE_ENDINGS or path.parent.exists():
        return None
    return HubId(source)


def hub_rows(hub: HubId) -> Iterator[Row]:
    """The data set's rows, streamed, split by split."""
    for split, dataset in _splits(hub).items():
        rows = enumerate(dataset, 1)
        while True:
            try:
                number, values = next(rows)
            except StopIteration:
                break
            except Exception as error:
                raise _unreadable(hub, error) from error
            yield Row(f"hub:{hub.name}:{split} row {number}", dict(values), hub.name, SPLITS.get(split.lower(), split))


def _splits(hub: HubId) -> Mapping[str, Any]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise missing_extra(f"reading {hub}, which is not a file or folder here,", "hub") from error
    try:
        splits: Mapping[str, Any] = load_dataset(hub.name, streaming=True)
    except Exception as error:
        raise _unreadable(hub, error) from error
    if hub.split is None:
        return splits
    if hub.split not in splits:
        raise UserError(f"{hub.name} has no split {hub.split!r}: it has {', '.join(splits)}")
    return {hub.split: splits[hub.split]}


def _unreadable(hub: HubId, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"cannot read {hub} from the Hugging Face hub ({reason}): check the name and the network")


def rows_of(part: Part, intake: Intake) -> Iterator[Row]:
    """The rows of a file or hub data set, their columns under the names that formats know."""
    columns = intake.settings.columns

    def is_row(values: dict[str, Any]) -> bool:
        if intake.settings.group_by is not None:
            return intake.settings.group_by in values
        return recognise_format([rename_columns(values, columns)]) is not None

    rows = hub_rows(part) if isinstance(part, HubId) else file_rows(part, intake, is_row)
    for row in rows:
        missing = next((name for name in columns.values() if name not in row.values), None)
        if missing is not None:
            intake.bad(row.place, f"no column {show_value(missing)}: there are {_keys(row.values)}")
        else:
            yield replace(row, values=rename_columns(row.values, columns)) if columns else row


def format_of(part: Part, reading: ReadingSettings) -> str:
    """The name of the format that the first rows are of."""
    peek = _Peek(part, reading)
    reader = recognise_format(peek)
    if reading.group_by is not None and peek.rows:
        return _format_of_groups(part, reader, reading)
    if reader is not None:
        return reader.name
    if peek.rows:
        raise UnknownContentError(f"{part}: {_unknown_columns(peek.rows)}")
    if peek.intake.bad_rows:
        first = peek.intake.bad_rows[0]
        raise UserError(f"{part} has no row that can be read; the first: {first.place}: {first.reason}")
    raise UnknownContentError(f"{part} is empty: it has no rows")


def _unknown_columns(rows: list[dict[str, Any]]) -> str:
    columns = describe_columns(rows) or "none"
    options = propose_options(rows)
    if options is not None:
        return (
            f"its rows are of no known format. They have the columns {columns}: if that is the dialogue, pass {options}"
        )
    if has_unread_turns(rows):
        return (
            f"its rows are of no known format. They have the columns {columns}: turns are read by the keys role and "
            "content, from and value, or speaker and text: rename theirs"
        )
    return (
        f"its rows are of no known format. They have the columns {columns}: say which of them the dialogue is, such as "
        f"--column context=NAME --column response=NAME, or --column messages=NAME for a list of role and content; or "
        f"pass --format ({', '.join(format_names())})"
    )


def _format_of_groups(part: Part, reader: Reader | None, reading: ReadingSettings) -> str:
    if reader is not None and reader.name != MessageRows.name:
        raise UserError(
            f"{part}: --group-by {reading.group_by} is for rows that are one message each; these are of the format "
            f"{reader.name}: leave it out, or pass --format {MessageRows.name} too"
        )
    fault: MalformedError | None = None
    for values in _Peek(part, reading):
        try:
            columns_of(values, reading.group_by)
        except MalformedError as error:
            fault = fault or error
        else:
            return MessageRows.name
    raise UnknownContentError(f"{part}: {fault}")


def is_of(part: Part, reader: Reader, reading: ReadingSettings) -> bool:
    """Whether any of the first rows is of one format."""
    return any(reader.recognises(values) for values in _Peek(part, reading))


class _Peek:
    """The values of the first rows, which it keeps."""

    def __init__(self, part: Part, reading: ReadingSettings) -> None:
        self._part = part
        self.intake = Intake(reading.model_copy(update={"on_bad_row": "skip"}))
        self.rows: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in islice(rows_of(self._part, self.intake), _ROWS_LOOKED_AT):
            self.rows.append(row.values)
            yield row.values


def _keys(values: dict[str, Any]) -> str:
    names = [show_value(name) for name in values]
    return ", ".join(names[:_KEYS_SHOWN]) + (", …" if len(names) > _KEYS_SHOWN else "")


def list_files(folder: Path) -> list[Path]:
    """The folder's files, by split (train, valid, test, unknown), then by name.

    Hidden ones are left out, and what describes the data: README, LICENSE and other Markdown.
    """
    try:
        files = [DataFile(path) for path in folder.iterdir() if path.is_file() and not ABOUT.match(path.name)]
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return [file.path for file in in_order(files)]


def files_in(folder: Path, reading: ReadingSettings) -> tuple[str, list[DataFile], list[DataFile]]:
    """The one format of what a folder holds, the files that are of it, and the others.

    A run's folder is its samples. A selection is an error: it has selected and discarded samples, each in two files.
    """
    if all((folder / name).is_file() for name in _SELECTION):
        raise UserError(f"{folder} is a selection, with each subset in two files: pass one, such as {_subset(folder)}")
    paths = list_files(folder)
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
    return format_name, chosen, [file for file in files if file not in chosen]


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
    return Source(str(source), name, files, intake, [Path(str(file)) for file in others])


def _file(path: Path, reading: ReadingSettings) -> tuple[str, list[DataFile], list[DataFile]]:
    """As `files_of_format` has it, for one file, which may be a zip of several."""
    members = data_files(path, reading)
    likely = _likely_data(members, reading)
    if len(likely) > 1:
        return files_of_format(path, members, reading)
    return reading.format or format_of(likely[0], reading), likely, [file for file in members if file not in likely]


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
