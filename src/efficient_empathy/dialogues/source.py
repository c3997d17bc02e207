"""A source: a file, a folder, objects of a store or a data set of the Hugging Face hub; its samples are read lazily."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.folders import Folder, files_in, files_of_file, folder_of_objects, folder_on_disk
from efficient_empathy.dialogues.formats import find_reader
from efficient_empathy.dialogues.formats.judged import EVALUATION, JudgedJSON
from efficient_empathy.dialogues.formats.message_rows import MessageRows
from efficient_empathy.dialogues.hub import HubId, hub_id
from efficient_empathy.dialogues.recognition import Part, format_of, rows_of
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
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.objects.address import display_name, is_url
from efficient_empathy.foundation.objects.copies import Copies, RemoteFile, ahead
from efficient_empathy.foundation.objects.store import Store


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
    skipped_files: list[DataFile] = field(default_factory=list)
    hub: HubId | None = None

    @property
    def files(self) -> list[Path | RemoteFile]:
        """The files on disk or in a store that are read: a zip is one."""
        return list(dict.fromkeys(file.place for file in self.data_files))

    def __iter__(self) -> Iterator[Sample]:
        """The samples in order. Raises `UserError` for what cannot be read, `BadRowError` as the intake has it.

        At the end, `UserError` also for an option of reading that no row had a use for.
        """
        reader = find_reader(self.format)
        for rows in self.parts():
            yield from reader.samples(rows, self.intake)
        self.intake.require_use()

    def samples_of(self, file: DataFile, intake: Intake) -> Iterator[Sample]:
        """The samples of one of its files, counted in another intake."""
        return find_reader(self.format).samples(rows_of(file, intake), intake)

    def parts(self) -> Iterator[Iterator[Row]]:
        """The rows, file by file; begins a new count in `intake`."""
        self.intake.clear()
        parts: list[Part] = [self.hub] if self.hub else [*self.data_files]
        for part in ahead(parts):
            yield rows_of(part, self.intake)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all bytes of the files; of its id if it is a hub data set.

        Of objects it is that of their names, sizes and versions as the store has them, and none is fetched; of the
        bytes of one that has no version.
        """
        digest = hashlib.sha256(str(self.hub).encode() if self.hub else b"")
        for place in self.files:
            if isinstance(place, RemoteFile) and place.entry.version is not None:
                digest.update(f"{place.name}\0{place.entry.size}\0{place.entry.version}\n".encode())
                continue
            path = place if isinstance(place, Path) else place.path
            with error_context(f"read {place}"), path.open("rb") as stream:
                while chunk := stream.read(2**20):
                    digest.update(chunk)
        return digest.hexdigest()


def open_source(source: str | Path, reading: ReadingSettings | None = None) -> Source:
    """Find out what `source` is, and of which format; its samples are read when it is iterated.

    `source` is a file, a folder, the URL of an object or of a folder of them, `hub:org/name`, `hub:org/name:split`,
    `hub:FOLDER`, or `org/name` where no such path is. Raises `UserError` if nothing is there or its format is unknown.
    """
    reading = ReadingSettings.of(reading)
    if reading.format is not None:
        find_reader(reading.format)
        if reading.group_by is not None and reading.format != MessageRows.name:
            raise UserError(f"--group-by is for the format {MessageRows.name}, not {reading.format}: leave out one")
    if is_url(source):
        return _remote(source, reading)
    path = Path(source)
    try:
        exists, is_folder = bool(str(source)) and path.exists(), path.is_dir()
    except (OSError, ValueError):
        exists = is_folder = False
    hub = hub_id(source) if isinstance(source, str) and not exists else None
    if hub is not None:
        return Source(str(source), reading.format or format_of(hub, reading), [], Intake(reading), hub=hub)
    if str(source) == "-" or (exists and not is_folder and not path.is_file()):
        raise UserError(
            f"{source} cannot be read: a source is read more than once, so it must be a file, not a stream or device: "
            "write it to a file first, and pass that"
        )
    if not exists:
        raise UserError(f"{source} is not found: there is no file or folder {path.absolute()}")
    return _opened(str(source), folder_on_disk(path) if is_folder else DataFile(path), reading)


def _remote(url: str, reading: ReadingSettings) -> Source:
    """The object of this URL; where there is none, or the URL ends in a slash, the folder."""
    store = Store(url)
    copies = Copies(store)
    entry = None if url.endswith("/") else store.find(url)
    if entry is not None:
        return _opened(display_name(url), DataFile(RemoteFile(entry, copies)), reading)
    folder = folder_of_objects(url, store, copies)
    if not folder.files:
        raise UserError(f"{display_name(url)} is not found: the store has no object and no folder of that name")
    return _opened(display_name(url), folder, reading)


def _opened(name: str, place: Folder | DataFile, reading: ReadingSettings) -> Source:
    if isinstance(place, DataFile):
        format_name, files, others = files_of_file(place, reading)
    else:
        format_name, files, others = files_in(place, reading)
        others += place.links
    return Source(name, format_name, files, Intake(reading), others)


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
