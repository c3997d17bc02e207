"""The sheet of an Excel workbook (xlsx) as rows, streaming; every value as the text that a CSV of it would have."""

from __future__ import annotations

import datetime
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import IO, Any
from xml.parsers import expat

from efficient_empathy.dialogues.containers.packing import too_large, unpacked_limit
from efficient_empathy.dialogues.containers.zip_file import BROKEN, DataFile
from efficient_empathy.dialogues.rows import Intake, Row, show_value
from efficient_empathy.foundation.errors import UserError

_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell [^>]*?ref="([A-Z]+)([0-9]+):([A-Z]+)([0-9]+)"')
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >/]")
LEAST_LIMIT = 64 * 2**20
"""What any workbook may unpack to: in memory its XML takes up to six times that."""
MOST_ROWS = 2**20
MOST_CELLS = 50_000_000
"""Rows and columns that are left out count, too."""
_MOST_DEPTH = 100
_MOST_MERGES = 1_000
"""That one row may lie in."""
_TAIL = 256
_CHUNK = 2**18
_ERRORS = "cells with an error such as #N/A read as empty"
_UNCOMPUTED = "formulas that were never computed read as empty"
_FILLED = "merged cells filled downwards"


def excel_rows(file: DataFile, intake: Intake) -> Iterator[Row]:
    """One row a row of the sheet with data, or of the one that the settings name; empty rows are none.

    Raises `UserError` where two sheets have data and none is named, for a header that is merged or names a column
    twice, and for a workbook that is broken or unpacks to more than its limit. A row whose
    cells are merged across columns is a bad row.
    """
    _check(file, intake)
    with _workbook(file, formulas=False) as book:
        sheet = _sheet_with_data(book, file, intake.settings.sheet)
        facts = _facts(file, sheet)
        if not facts.has_formulas:
            yield from _rows(sheet, None, facts, file, intake)
            return
        with _workbook(file, formulas=True) as other:
            yield from _rows(sheet, other[sheet.title], facts, file, intake)


def _limit(file: DataFile, intake: Intake) -> int:
    return unpacked_limit(file.path.stat().st_size, intake.settings.max_unpacked, LEAST_LIMIT)


def _check(file: DataFile, intake: Intake) -> None:
    """Raise `UserError` for a workbook that is too large, or nested as none is: its parser keeps what is open."""
    limit = _limit(file, intake)
    with zipfile.ZipFile(file.path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > limit:
            raise too_large(str(file), limit, file.path.stat().st_size)
        for entry in entries:
            if entry.filename.endswith((".xml", ".rels")):
                with suppress(expat.ExpatError, *BROKEN), archive.open(entry) as stream:
                    _check_depth(stream, f"{file}/{entry.filename}")


def _check_depth(stream: IO[bytes], name: str) -> None:
    parser = expat.ParserCreate()
    depth = 0

    def start(_tag: str, _attributes: Any) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise UserError(f"{name} is nested more than {_MOST_DEPTH} deep: save it as xlsx anew, or as CSV")

    def end(_tag: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = start, end
    while chunk := stream.read(_CHUNK):
        parser.Parse(chunk)


@contextmanager
def _workbook(file: DataFile, *, formulas: bool) -> Iterator[Any]:
    from openpyxl import load_workbook

    try:
        with (
            file.path.open("rb") as stream,
            closing(load_workbook(stream, read_only=True, data_only=not formulas)) as book,
        ):
            yield book
    except (UserError, GeneratorExit):
        raise
    except Exception as error:  # openpyxl passes on what zip and XML readers raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{file} is not a workbook that can be read ({reason}): save it as xlsx anew, or as CSV"
        ) from error


def _sheet_with_data(book: Any, file: DataFile, name: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    for sheet in sheets.values():
        sheet.reset_dimensions()
    if name is not None:
        chosen = next((title for title in sheets if title.casefold() == name.casefold()), None)
        if chosen is None:
            raise UserError(f"{file} has no sheet {show_value(name)}: it has {_names(sheets)}")
        return sheets[chosen]
    rows = {title: len(list(islice(filter(_has_content, _cells(sheet, file)), 2))) for title, sheet in sheets.items()}
    most = max(rows.values(), default=0)
    with_data = [title for title in sheets if rows[title] == most and most]
    if not with_data:
        raise UserError(f"{file} is empty: it has no rows")
    if len(with_data) > 1:
        raise UserError(
            f"{file} has data in {len(with_data)} sheets ({_names(with_data)}): say which one with --sheet, such as "
            f"--sheet {show_value(with_data[0])}"
        )
    return sheets[with_data[0]]


def _names(titles: Iterable[str]) -> str:
    return ", ".join(map(show_value, titles))


def _cells(sheet: Any, file: DataFile) -> Iterator[tuple[Any, ...]]:
    count = 0
    for number, cells in enumerate(sheet.iter_rows(min_row=1, min_col=1), 1):
        count += len(cells)
        if number > MOST_ROWS or count > MOST_CELLS:
            what = f"{MOST_ROWS:,} rows" if number > MOST_ROWS else f"{MOST_CELLS:,} cells"
            raise UserError(f"{file}: the sheet {show_value(sheet.title)} has over {what}: save it as CSV")
        yield cells


def _has_content(cells: Iterable[Any]) -> bool:
    return any(cell.value is not None and str(cell.value).strip() for cell in cells)


@dataclass(frozen=True, slots=True)
class _Merge:
    """Cells shown as one: the first and last column and row, from 1 on."""

    left: int
    top: int
    right: int
    bottom: int
    name: str


@dataclass(slots=True)
class _Facts:
    """What a sheet's cells do not say one by one."""

    has_formulas: bool = False
    merges: dict[int, list[_Merge]] = field(default_factory=lambda: defaultdict(list))
    """By their first row."""


def _facts(file: DataFile, sheet: Any) -> _Facts:
    facts = _Facts()
    rest = b""
    with zipfile.ZipFile(file.path) as archive, archive.open(sheet._worksheet_path) as stream:
        while chunk := stream.read(_CHUNK):
            text = rest + chunk
            facts.has_formulas = facts.has_formulas or bool(_FORMULA.search(text))
            end = 0
            for match in _MERGED.finditer(text):
                end = match.end()
                left, top, right, bottom = (part.decode() for part in match.groups())
                merge = _Merge(_column(left), int(top), _column(right), int(bottom), f"{left}{top}:{right}{bottom}")
                facts.merges[merge.top].append(merge)
            rest = text[max(end, len(text) - _TAIL) :]
    return facts


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number


def _rows(sheet: Any, formulas: Any, facts: _Facts, file: DataFile, intake: Intake) -> Iterator[Row]:
    names: list[str] | None = None
    merges = _Merges(facts)
    others = _cells(formulas, file) if formulas is not None else repeat(())
    size, limit = 0, _limit(file, intake)
    for number, (cells, sources) in enumerate(zip(_cells(sheet, file), others, strict=False), 1):
        place = f"{file}:{show_value(sheet.title)[1:-1]} row {number}"
        values = [_value(cell, intake) for cell in cells]
        size += sum(len(value) for value in values if value)
        if size > limit:  # cells share texts
            raise too_large(str(file), limit, file.path.stat().st_size)
        merges.fill(number, values, place, intake if names else None)
        if names is None:
            if any(values):
                names = _header(values, merges, place)
            continue
        if sources:
            uncomputed = sum(_is_uncomputed(cell, sources[i : i + 1]) for i, cell in enumerate(cells))
            intake.repairs.update({_UNCOMPUTED: uncomputed} if uncomputed else {})
        if any(value is not None and value.strip() for value in values):
            if (wide := merges.across()) is not None:
                intake.bad(place, f"the cells {wide} are merged across columns: unmerge them")
            else:
                yield Row(place, _named(names, values, intake))


def _header(values: list[str | None], merges: _Merges, place: str) -> list[str]:
    if merge := merges.any():
        raise UserError(f"{place}: the header has merged cells ({merge}): the first row must name one column a cell")
    names = [" ".join((value or "").split()) for value in values]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise UserError(f"{place}: the header names {show_value(twice)} twice: rename one of the columns")
    return names


def _named(names: list[str], values: list[str | None], intake: Intake) -> dict[str, Any]:
    row: dict[str, Any] = {name: None for name in names if name}
    for index, value in enumerate(values):
        if index < len(names) and names[index]:
            row[names[index]] = value
        elif value is not None:
            intake.repairs["cells without a column's name left out"] += 1
    return row


class _Merges:
    """The merged cells that reach into the row at hand."""

    def __init__(self, facts: _Facts) -> None:
        self._facts = facts
        self._active: list[tuple[_Merge, str | None]] = []

    def fill(self, row: int, values: list[str | None], place: str, intake: Intake | None) -> None:
        """Go on to a row; one that lies in a merge of one column gets the value of its first."""
        self._active = [(merge, value) for merge, value in self._active if merge.bottom >= row]
        for merge, value in self._active:
            if merge.left == merge.right and value is not None:
                values += [None] * (merge.left - len(values))
                values[merge.left - 1] = value
                if intake is not None:
                    intake.repairs[_FILLED] += 1
        starting = self._facts.merges.get(row, ())
        if len(self._active) + len(starting) > _MOST_MERGES:
            raise UserError(f"{place}: it lies in over {_MOST_MERGES:,} merged ranges of cells: save it as CSV")
        for merge in starting:
            value = values[merge.left - 1] if merge.left <= len(values) else None
            self._active.append((merge, value))

    def any(self) -> str | None:
        """The first merge that has a value."""
        return next((merge.name for merge, value in self._active if value is not None), None)

    def across(self) -> str | None:
        """The first merge of more than one column that has a value."""
        return next(
            (merge.name for merge, value in self._active if value is not None and merge.left < merge.right), None
        )


def _is_uncomputed(cell: Any, source: tuple[Any, ...]) -> bool:
    """Whether a cell has a formula and no result; an empty text is one."""
    return cell.value is None and cell.data_type == "n" and any(other.data_type == "f" for other in source)


def _value(cell: Any, intake: Intake) -> str | None:
    """A cell's value as text, as Excel's own CSV has it, but for dates, which are in ISO 8601."""
    value = cell.value
    if value is None or isinstance(value, str):
        if cell.data_type == "e" and value is not None:
            intake.repairs[_ERRORS] += 1
            return None
        return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value) if value and "_x" in value else value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time.min:
        return value.date().isoformat()
    return value.isoformat(" ") if isinstance(value, datetime.datetime) else str(value)
