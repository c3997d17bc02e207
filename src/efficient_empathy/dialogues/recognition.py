"""Which format a file or data set is of, by its first rows; or what to pass where none fits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from efficient_empathy.dialogues.containers import UnknownContentError, file_rows
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.formats import format_names, recognise_format
from efficient_empathy.dialogues.formats.message_rows import MessageRows, columns_of
from efficient_empathy.dialogues.formats.reader import Reader
from efficient_empathy.dialogues.hub import HubId, hub_rows
from efficient_empathy.dialogues.proposal import (
    are_messages,
    describe_columns,
    has_unread_turns,
    propose_options,
    rename_columns,
)
from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, show_value
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

_ROWS_LOOKED_AT = 100
_KEYS_SHOWN = 12

Part = DataFile | HubId


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
    if (beginning := _beginning(part)) is not None:
        with suppress(UserError):
            return _format_of(beginning, reading)
    return _format_of(part, reading)


def _beginning(part: Part) -> DataFile | None:
    """A large object's first bytes, which show its format where it needs no more of it; None of anything else."""
    beginning = part.beginning() if isinstance(part, DataFile) and part.member is None else None
    return beginning if beginning != part else None


def _format_of(part: Part, reading: ReadingSettings) -> str:
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
    if are_messages(rows):
        return (
            f"each row is one message (columns {columns}), and no column says which conversation it belongs to: add "
            "one and pass --group-by NAME, or write the messages of one conversation as a JSON array"
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
    if (beginning := _beginning(part)) is not None:
        with suppress(UserError):
            if _is_of(beginning, reader, reading):
                return True
    return _is_of(part, reader, reading)


def _is_of(part: Part, reader: Reader, reading: ReadingSettings) -> bool:
    return any(reader.recognises(values) for values in _Peek(part, reading))


def first_rows(part: Part, reading: ReadingSettings) -> list[dict[str, Any]]:
    """The values of the first rows as the file has them, whatever its columns are called."""
    plain = reading.model_copy(update={"columns": {}, "group_by": None, "format": None})
    peek = _Peek(_beginning(part) or part, plain)
    return list(peek)


class _Peek:
    """The values of the first rows, which it keeps."""

    def __init__(self, part: Part, reading: ReadingSettings) -> None:
        self._part = part
        self.intake = Intake(reading.model_copy(update={"on_bad_row": "skip"}))
        self.rows: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in islice(rows_of(self._part, self.intake), _ROWS_LOOKED_AT):
            self.rows.append(row.values)
            self.intake.bad_in_a_row = 0
            yield row.values


def _keys(values: dict[str, Any]) -> str:
    names = [show_value(name) for name in values]
    return ", ".join(names[:_KEYS_SHOWN]) + (", …" if len(names) > _KEYS_SHOWN else "")
