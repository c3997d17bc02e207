"""A source: a file, a folder or a hub data set, its format recognised, its samples read lazily."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.dialogues.formats import reader_named
from efficient_empathy.dialogues.formats.judged import EVALUATION, Judged
from efficient_empathy.dialogues.hub import HubId, hub_id
from efficient_empathy.dialogues.intake import Intake
from efficient_empathy.dialogues.recognition import Columns, Part, files_of_format, format_of, listed_files, rows_of
from efficient_empathy.dialogues.rows import MalformedError, Row, each, required, shown
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.foundation.errors import UserError, error_context


@dataclass(slots=True)
class Source:
    """Samples to iterate, any number of times; `intake` counts what the latest pass dropped or repaired.

    `files` are those that are read, in order, none if it is a `hub` data set; `skipped_files` are the folder's others.
    """

    name: str
    format: str
    files: list[Path]
    intake: Intake
    skipped_files: list[Path] = field(default_factory=list)
    hub: HubId | None = None
    columns: Columns = field(default_factory=dict)

    def __iter__(self) -> Iterator[Sample]:
        """The samples in order. Raises `UserError` for what cannot be read, `BadRowError` as the intake has it."""
        reader = reader_named(self.format)
        for rows in self.parts():
            yield from reader.samples(rows, self.intake)

    def parts(self) -> Iterator[Iterator[Row]]:
        """The rows, file by file; begins a new count in `intake`."""
        self.intake.clear()
        parts: list[Part] = [self.hub] if self.hub else [*self.files]
        for part in parts:
            yield rows_of(part, self.intake, self.columns)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all bytes of the files; of its id if it is a hub data set."""
        digest = hashlib.sha256(str(self.hub).encode() if self.hub else b"")
        for path in self.files:
            with error_context(f"read {path}"), path.open("rb") as stream:
                while chunk := stream.read(2**20):
                    digest.update(chunk)
        return digest.hexdigest()


def open_source(
    source: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    intake: Intake | None = None,
) -> Source:
    """Find out what `source` is, and of which format; its samples are read when it is iterated.

    `source` is a file, a folder, `hub:org/name`, `hub:org/name:split`, `hub:FOLDER`, or `org/name` where no such path
    is. `columns` says what the file calls the columns that a format knows: `{"context": "question"}`. `intake` says
    what bad rows do; they stop the reading by default. Raises `UserError` if nothing is there or its format is unknown.
    """
    columns = dict(columns or {})
    intake = intake if intake is not None else Intake()
    if format is not None:
        reader_named(format)
    path = Path(source)
    try:
        exists, is_folder = bool(str(source)) and path.exists(), path.is_dir()
    except (OSError, ValueError):
        exists = is_folder = False
    hub = hub_id(source) if isinstance(source, str) and not exists else None
    if hub is not None:
        return Source(str(source), format or format_of(hub, columns), [], intake, hub=hub, columns=columns)
    if str(source) == "-" or (exists and not is_folder and not path.is_file()):
        raise UserError(
            f"{source} cannot be read: a source is read more than once, so it must be a file, not a stream or device: "
            "write it to a file first, and pass that"
        )
    if not exists:
        raise UserError(f"{source} is not found: there is no file or folder {path.absolute()}")
    if not is_folder:
        return Source(str(source), format or format_of(path, columns), [path], intake, columns=columns)
    name, files = files_of_format(path, format, columns)
    skipped = [other for other in listed_files(path) if other not in files]
    return Source(str(source), name, files, intake, skipped, columns=columns)


def read_evaluations(source: str | Path, *, intake: Intake | None = None) -> Iterator[tuple[Sample, str]]:
    """Every sample of judged JSON with its reply, as it stands; a row without a reply is a bad row."""
    opened = open_source(source, format=Judged.name, intake=intake)
    reader = Judged()

    def convert(row: Row) -> Iterator[tuple[Sample, str]]:
        reply = required(row.values, EVALUATION)
        if not isinstance(reply, str):
            raise MalformedError(f"{EVALUATION!r} is {shown(reply)}, not text")
        for sample in reader.samples([row], opened.intake):
            yield sample, reply

    for rows in opened.parts():
        yield from each(rows, opened.intake, convert)
