"""Filled-in sheets read back: every row checked against the key, every fault named by its place."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.evaluation.ratings.design import COMMENT, ITEM, Layout, layout_of
from efficient_empathy.evaluation.ratings.questions import CHOICES, SCALE
from efficient_empathy.evaluation.ratings.record import Item, Key, fingerprint
from efficient_empathy.evaluation.ratings.sheets import Table, letter, read_csv, read_xlsx
from efficient_empathy.foundation.errors import UserError

SHOWN = 5
"""Bad cells that one error names."""


@dataclass(frozen=True)
class Filled:
    """One item as a rater filled it in: the answers by question, without those that are missing."""

    rater: str
    item: str
    key: Item
    answers: Mapping[str, str]
    missing: tuple[str, ...]
    comment: str
    place: str


@dataclass
class Reading:
    """What the sheets say, in the order of the key's items, and what was found on the way."""

    files: list[str] = field(default_factory=list)
    filled: dict[str, Filled] = field(default_factory=dict)
    """By item."""
    problems: list[str] = field(default_factory=list)


def read_filled(paths: Sequence[Path], key: Key) -> Reading:
    """Read sheets (CSV or XLSX; of a folder, all it has) that were made with `key`.

    Raises `UserError`, naming file, row and column, for columns that are missing or renamed, values that are no answer
    (the first five at once), rows that are of no sheet, of another rater's or altered, and items that are answered
    twice in different ways. Empty cells are missing answers, which the caller counts; columns that no sheet has are
    left out and noted.
    """
    reading = Reading()
    faults: list[str] = []
    for path in _files(paths):
        reading.files.append(str(path))
        raters: dict[str, str] = {}
        again: list[str] = []
        for table in _tables(path):
            for filled in _rows(table, key, faults, reading.problems):
                _one_rater(raters, filled)
                if _add(reading, filled):
                    again.append(filled.place)
        if again:
            reading.problems.append(f"{again[0]}: {len(again):,} rows were read before; each is counted once")
    if faults:
        more = f" (and {len(faults) - SHOWN:,} more)" if len(faults) > SHOWN else ""
        raise UserError("; ".join(faults[:SHOWN]) + f"{more}: mend the cells, or leave empty what was not rated")
    order = {item: number for number, item in enumerate(item for sheet in key.sheets for item in sheet.items)}
    reading.filled = dict(sorted(reading.filled.items(), key=lambda one: order[one[0]]))
    return reading


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if one.suffix.lower() in (".csv", ".tsv", ".xlsx"))
            found = [one for one in found if not one.name.startswith((".", "~$"))]
            if not found:
                raise UserError(f"{path} has no sheet: no .csv, .tsv or .xlsx")
            yield from found
        elif path.suffix.lower() in (".xls", ".ods", ".numbers"):
            raise UserError(f"{path} is a {path.suffix} file: save it as XLSX or CSV")
        else:
            yield path


def _tables(path: Path) -> list[Table]:
    """What a file holds, fault by its content: workbooks are ZIP archives."""
    try:
        with path.open("rb") as file:
            workbook = file.read(2) == b"PK"
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    tables = read_xlsx(path) if workbook else [read_csv(path)]
    if not tables:
        raise UserError(f"{path} is no rating sheet: no sheet in it has a column {ITEM}")
    return tables


def _rows(table: Table, key: Key, faults: list[str], problems: list[str]) -> Iterator[Filled]:
    """The rows of a table; cells that are no answer go to `faults`."""
    start = next((i for i, row in enumerate(table.rows) if any(cell.strip() for cell in row)), None)
    if start is None:
        raise UserError(f"{table.path} is empty")
    header = [name.strip().casefold() for name in table.rows[start]]
    layout = layout_of("ab" if {"left", "right"} & set(header) else "likert", key.questions)
    columns = _columns(table, start + 1, header, layout, problems)
    for number, cells in enumerate(table.rows[start + 1 :], start + 2):
        padded = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
        if not any(padded):
            continue
        rater, known = _known(table, number, {name: padded[place] for name, place in columns.items()}, key, layout)
        answers = {}
        for name in layout.answers:
            answer = _answer(padded[columns[name]], layout)
            if answer is None:
                where = table.place(number, columns[name])
                faults.append(f"{where}: {name} is {padded[columns[name]]!r}, not {_either(layout.allowed)}")
            elif answer:
                answers[name] = answer
        missing = tuple(name for name in layout.answers if name not in answers)
        comment = padded[columns[COMMENT]] if COMMENT in columns else ""
        yield Filled(rater, padded[columns[ITEM]], known, answers, missing, comment, table.place(number))


def _known(table: Table, number: int, cells: Mapping[str, str], key: Key, layout: Layout) -> tuple[str, Item]:
    """The rater and the item that a row is, checked against the key."""
    item, place = cells[ITEM], table.place(number)
    found = key.find(item)
    if found is None:
        fault = f"{ITEM} is {item!r}, which is on none of this run's sheets" if item else f"{ITEM} is empty"
        raise UserError(f"{place}: {fault}: restore it, or remove the row")
    sheet, known = found
    if known.task != layout.task:
        raise UserError(f"{place}: item {item} belongs on the other sheet: move the row back")
    if fingerprint([cells[text] for text in layout.texts]) != known.text:
        raise UserError(
            f"{place}: item {item} was handed out with other texts: they were changed, or columns were sorted apart "
            "from one another; copy the answers into a fresh sheet"
        )
    return sheet.rater, known


def _columns(table: Table, row: int, header: Sequence[str], layout: Layout, problems: list[str]) -> dict[str, int]:
    """Where each column stands; the comment may be missing."""
    twice = next((name for name, count in Counter(header).items() if name and count > 1), None)
    if twice:
        raise UserError(f"{table.place(row)}: two columns are called {twice}: remove or rename one")
    columns = {name: header.index(name) for name in layout.columns if name in header}
    extra = [name for name in header if name and name not in layout.columns]
    lost = [name for name in layout.columns if name not in columns and name != COMMENT]
    if lost:
        fault = f"the column {lost[0]} is missing"
        if close := difflib.get_close_matches(lost[0], extra, 1, 0.5):
            fault += (
                f": was it renamed to {close[0]} (column {letter(header.index(close[0]))})? Call it {lost[0]} again"
            )
        else:
            fault += ": restore it, empty if need be"
        raise UserError(f"{table.place(row)}: {fault}")
    if extra:
        problems.append(f"{table.path}: left out the columns {', '.join(extra)}, which no sheet has")
    return columns


def _answer(cell: str, layout: Layout) -> str | None:
    """The answer in a cell: "" where there is none, None for what is no answer."""
    text = cell.removeprefix("'").strip()
    if layout.task == "ab":
        return text.casefold() if text.casefold() in (*CHOICES, "") else None
    number = re.fullmatch(r"([0-9])(?:[.,]0*)?", text)
    if number and int(number[1]) in SCALE:
        return number[1]
    return None if text else ""


def _either(allowed: Sequence[str]) -> str:
    return f"a whole number from {allowed[0]} to {allowed[-1]}" if allowed[0].isdigit() else ", ".join(allowed)


def _one_rater(raters: dict[str, str], filled: Filled) -> None:
    """A file is one rater's."""
    raters.setdefault(filled.rater, filled.place)
    if len(raters) > 1:
        (one, where), (other, there) = raters.items()
        raise UserError(
            f"{there}: item {filled.item} is of the sheet of {other}, but {where} is of that of {one}: a file holds "
            "one rater's rows"
        )


def _add(reading: Reading, filled: Filled) -> bool:
    """Keep a row; whether it had been read before."""
    before = reading.filled.get(filled.item)
    if before is None or not before.answers:
        reading.filled[filled.item] = filled
    elif filled.answers and before.answers != filled.answers:
        raise UserError(
            f"{filled.place}: item {filled.item} is answered otherwise than {before.place}: remove one of the two rows"
        )
    return before is not None
