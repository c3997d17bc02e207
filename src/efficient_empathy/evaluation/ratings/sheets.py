"""Sheets as files: written so that spreadsheet programs open them, read as any of them leaves them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.dialogues.containers.delimiters import delimiter_of
from efficient_empathy.evaluation.ratings.design import TITLES, Layout, Row
from efficient_empathy.evaluation.ratings.questions import COMMENT, ITEM, Task
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.spreadsheets import as_text

LARGEST_FIELD = 1 << 20
LONGEST_CELL = 32_767
WIDTHS = {ITEM: 10, "context": 55, "response": 45, "left": 45, "right": 45, COMMENT: 30}
HEADER, TO_FILL_IN = "D9E2EC", "FFF8DC"


@dataclass(frozen=True)
class Table:
    """The cells of one sheet, row by row from its first; `sheet` is its name in a workbook."""

    path: Path
    sheet: str | None
    rows: list[list[str]]

    def place(self, row: int, column: int | None = None) -> str:
        """Where a cell is, in words: rows are counted from 1 as spreadsheets do, columns are A, B …"""
        where = str(self.path) + (f", sheet {self.sheet}" if self.sheet else "") + f", row {row}"
        return where if column is None else f"{where}, column {letter(column)}"


def letter(column: int) -> str:
    """The letters of the column at a position from 0: A … Z, AA …"""
    return (letter(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


def write_csv(
    folder: Path, rater: str, rows: dict[Task, list[Row]], layouts: Sequence[Layout], instructions: list[str]
) -> list[str]:
    """Write a rater's `RATER-ratings.csv` and `RATER-comparisons.csv`, and `instructions.txt`; returns the CSVs' names.

    UTF-8 with a byte order mark, commas: Excel opens it with accents whole.
    """
    with atomic(folder / "instructions.txt") as path:
        path.write_text("\n".join(instructions) + "\n", "utf-8")
    names = []
    for layout in layouts:
        name = f"{rater}-{TITLES[layout.task].lower()}.csv"
        with atomic(folder / name) as path, path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(map(as_text, layout.columns))
            writer.writerows([as_text(cell) for cell in layout.cells(row)] for row in rows[layout.task])
        names.append(name)
    return names


def read_csv(path: Path) -> Table:
    """The table of a CSV file: UTF-8, UTF-16 or Windows-1252; commas, semicolons, tabs or bars.

    The delimiter is the one that the header uses most. Raises `UserError`.
    """
    text = _decode(path)
    if text.startswith("sep=") and "\n" in text:
        text = text.split("\n", 1)[1]
    csv.field_size_limit(LARGEST_FIELD)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = delimiter_of([header]) or ","
    try:
        return Table(path, None, list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))
    except csv.Error as error:
        raise UserError(f"{path} is not CSV ({error}): save it as CSV or XLSX anew") from error


def _decode(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def write_xlsx(
    folder: Path, rater: str, rows: dict[Task, list[Row]], layouts: Sequence[Layout], instructions: list[str]
) -> list[str]:
    """Write a rater's `RATER.xlsx`: a sheet of instructions and one for each task; returns its name.

    Raises `UserError` for a text longer than a cell can hold.
    """
    import openpyxl

    book = openpyxl.Workbook()
    book.properties.creator, book.properties.title = "", "Rating sheet"
    _instructions(book.active, instructions)
    for layout in layouts:
        _fill(book.create_sheet(TITLES[layout.task]), layout, rows[layout.task])
    name = f"{rater}.xlsx"
    with atomic(folder / name) as path:
        book.save(path)
    return [name]


def _instructions(sheet: Any, instructions: list[str]) -> None:
    from openpyxl.styles import Alignment, Font

    sheet.title = "Instructions"
    sheet.column_dimensions["A"].width = 110
    for number, line in enumerate(instructions, 1):
        cell = sheet.cell(number, 1)
        _write_text(cell, line)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        if number == 1:
            cell.font = Font(bold=True)


def _fill(sheet: Any, layout: Layout, rows: Sequence[Row]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    for column, name in enumerate(layout.columns, 1):
        cell = sheet.cell(1, column)
        _write_text(cell, name)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor=HEADER)
        sheet.column_dimensions[get_column_letter(column)].width = WIDTHS.get(name, 15)
    for number, row in enumerate(rows, 2):
        for column, text in enumerate(layout.cells(row), 1):
            cell = sheet.cell(number, column)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if len(text) > LONGEST_CELL:
                raise UserError(
                    f"sample {row.key.sample_id} has a text of {len(text):,} characters, and a spreadsheet's cell "
                    f"holds {LONGEST_CELL:,}: shorten it, or use --format csv"
                )
            if text:
                _write_text(cell, text)
            elif layout.columns[column - 1] in layout.answers:
                cell.fill = PatternFill("solid", fgColor=TO_FILL_IN)
    sheet.freeze_panes = "B2"
    for column, question in enumerate(layout.questions, len(layout.texts) + 2):
        choices = ", ".join(question.choices[:-1]) + f" or {question.choices[-1]}"
        validation = DataValidation(type="list", formula1=f'"{",".join(question.choices)}"', allow_blank=True)
        validation.errorTitle, validation.error, validation.showErrorMessage = (
            "Not an answer",
            f"Please write {choices}.",
            True,
        )
        validation.add(f"{get_column_letter(column)}2:{get_column_letter(column)}{len(rows) + 1}")
        sheet.add_data_validation(validation)


def _write_text(cell: Any, text: str) -> None:
    cell.value = text
    cell.data_type = "s"  # whatever it begins with: never a formula
    cell.quotePrefix = True


def read_xlsx(path: Path) -> list[Table]:
    """The tables of a workbook: of every sheet that has a column `item`. Raises `UserError`."""
    import openpyxl

    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, data_only=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # openpyxl passes on what zip and XML readers raise
        raise UserError(f"{path} is not a workbook that can be read ({error}): save it as XLSX anew") from error
    tables = []
    for sheet in book.worksheets:
        rows = [["" if value is None else str(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        header = next((row for row in rows if any(row)), [])
        if ITEM in [name.strip().casefold() for name in header] or sheet.title in TITLES.values():
            tables.append(Table(path, sheet.title, rows))
    return tables
