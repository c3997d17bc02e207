"""Sheets as XLSX: instructions, coloured cells to fill in with lists of what is allowed, and nothing that tells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from efficient_empathy.evaluation.ratings.design import Row
from efficient_empathy.evaluation.ratings.layout import COMMENT, ITEM, TITLES, Layout
from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.evaluation.ratings.table import Table
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.workspace import atomic

LONGEST_CELL = 32_767
WIDTHS = {ITEM: 10, "context": 55, "response": 45, "left": 45, "right": 45, COMMENT: 30}
HEADER, TO_FILL_IN = "D9E2EC", "FFF8DC"


def write_xlsx(
    folder: Path, rater: str, rows: dict[Task, list[Row]], layouts: Sequence[Layout], told: list[str]
) -> list[str]:
    """Write a rater's `RATER.xlsx`: a sheet of instructions and one for each task; returns its name.

    Raises `UserError` for a text longer than a cell can hold, and where openpyxl is missing.
    """
    openpyxl = _openpyxl("Sheets in XLSX")
    book = openpyxl.Workbook()
    book.properties.creator, book.properties.title = "", "Rating sheet"
    _instructions(book.active, told)
    for layout in layouts:
        _fill(book.create_sheet(TITLES[layout.task]), layout, rows[layout.task])
    name = f"{rater}.xlsx"
    with atomic(folder / name) as path:
        book.save(path)
    return [name]


def _instructions(sheet: Any, told: list[str]) -> None:
    from openpyxl.styles import Alignment, Font

    sheet.title = "Instructions"
    sheet.column_dimensions["A"].width = 110
    for number, line in enumerate(told, 1):
        cell = sheet.cell(number, 1, line)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        if number == 1:
            cell.font = Font(bold=True)


def _fill(sheet: Any, layout: Layout, rows: Sequence[Row]) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    for column, name in enumerate(layout.columns, 1):
        cell = sheet.cell(1, column, name)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor=HEADER)
        sheet.column_dimensions[get_column_letter(column)].width = WIDTHS.get(name, 15)
    for number, row in enumerate(rows, 2):
        for column, text in enumerate(layout.cells(row), 1):
            cell = sheet.cell(number, column)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if text:
                _write_text(cell, text, row.key.sample_id)
            elif layout.columns[column - 1] in layout.answers:
                cell.fill = PatternFill("solid", fgColor=TO_FILL_IN)
    sheet.freeze_panes = "B2"
    first = len(layout.texts) + 2
    answers = f"{get_column_letter(first)}2:{get_column_letter(first + len(layout.answers) - 1)}{len(rows) + 1}"
    allowed = ", ".join(layout.allowed[:-1]) + f" or {layout.allowed[-1]}"
    listed = DataValidation(type="list", formula1=f'"{",".join(layout.allowed)}"', allow_blank=True)
    listed.errorTitle, listed.error, listed.showErrorMessage = "Not an answer", f"Please write {allowed}.", True
    listed.add(answers)
    sheet.add_data_validation(listed)


def _write_text(cell: Any, text: str, sample_id: str) -> None:
    if len(text) > LONGEST_CELL:
        raise UserError(
            f"sample {sample_id} has a text of {len(text):,} characters, and a spreadsheet's cell holds "
            f"{LONGEST_CELL:,}: shorten it, or use --format csv"
        )
    cell.value = text
    cell.data_type = "s"  # whatever it begins with: never a formula
    cell.quotePrefix = True


def read_xlsx(path: Path) -> list[Table]:
    """The tables of a workbook: of every sheet that has a column `item`. Raises `UserError`."""
    openpyxl = _openpyxl("Reading XLSX")
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


def _openpyxl(command: str) -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise missing_extra(command, "eval") from error
    return openpyxl
