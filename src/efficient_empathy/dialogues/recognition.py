"""The rows of a file or hub data set, and which format they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues.containers import UnknownContentError, file_rows
from efficient_empathy.dialogues.formats import FORMATS, recognised
from efficient_empathy.dialogues.formats.reader import Reader
from efficient_empathy.dialogues.hub import HubId, hub_rows
from efficient_empathy.dialogues.intake import Intake
from efficient_empathy.dialogues.rows import Row, shown
from efficient_empathy.foundation.errors import UserError

Part = Path | HubId
Columns = Mapping[str, str]
"""The name that a format knows a column by, to the name that it has in the file."""

_ROWS_LOOKED_AT = 100
_KEYS_SHOWN = 12


def rows_of(part: Part, intake: Intake, columns: Columns) -> Iterator[Row]:
    """The rows of a file or hub data set, their columns under the names that formats know."""

    def is_row(values: dict[str, Any]) -> bool:
        return recognised([_renamed(values, columns)]) is not None

    rows = hub_rows(part) if isinstance(part, HubId) else file_rows(part, intake, is_row)
    for row in rows:
        missing = next((name for name in columns.values() if name not in row.values), None)
        if missing is not None:
            intake.bad(row.place, f"no column {shown(missing)}: there are {_keys(row.values)}")
        else:
            yield replace(row, values=_renamed(row.values, columns)) if columns else row


def format_of(part: Part, columns: Columns) -> str:
    """The name of the format that the first rows are of."""
    peek = _Peek(part, columns)
    reader = recognised(peek)
    if reader is not None:
        return reader.name
    if peek.keys is not None:
        known = ", ".join(FORMATS)
        raise UnknownContentError(
            f"{part}: its rows are of no known format (keys: {peek.keys or 'none'}): pass --format ({known}), or say "
            "which columns are meant, such as --column response=answer"
        )
    if peek.intake.bad_rows:
        first = peek.intake.bad_rows[0]
        raise UserError(f"{part} has no row that can be read; the first: {first.place}: {first.reason}")
    raise UserError(f"{part} is empty: it has no rows")


def is_of(part: Part, reader: Reader, columns: Columns) -> bool:
    """Whether any of the first rows is of one format."""
    return any(reader.recognises(values) for values in _Peek(part, columns))


class _Peek:
    """The values of the first rows; remembers what was met."""

    def __init__(self, part: Part, columns: Columns) -> None:
        self._part = part
        self._columns = columns
        self.intake = Intake("skip")
        self.keys: str | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in islice(rows_of(self._part, self.intake, self._columns), _ROWS_LOOKED_AT):
            if self.keys is None:
                self.keys = _keys(row.values)
            yield row.values


def _renamed(values: dict[str, Any], columns: Columns) -> dict[str, Any]:
    return {**values, **{known: values.get(name) for known, name in columns.items()}}


def _keys(values: dict[str, Any]) -> str:
    names = [shown(name) for name in values]
    return ", ".join(names[:_KEYS_SHOWN]) + (", …" if len(names) > _KEYS_SHOWN else "")
