"""Sheets as CSV: written so that Excel opens them, read as any spreadsheet program leaves them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from efficient_empathy.dialogues.containers.csv_file import delimiter_of
from efficient_empathy.evaluation.ratings.design import Row
from efficient_empathy.evaluation.ratings.layout import TITLES, Layout
from efficient_empathy.evaluation.ratings.questions import Task
from efficient_empathy.evaluation.ratings.table import Table
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic

FORMULA = ("=", "+", "-", "@", "\t")
"""A cell that begins so is calculated when a spreadsheet opens it; an apostrophe before it makes it text."""
LARGEST_FIELD = 1 << 20


def write_csv(
    folder: Path, rater: str, rows: dict[Task, list[Row]], layouts: Sequence[Layout], told: list[str]
) -> list[str]:
    """Write a rater's `RATER-ratings.csv` and `RATER-comparisons.csv`, and `instructions.txt`; returns the CSVs' names.

    UTF-8 with a byte order mark, commas: Excel opens it with accents whole.
    """
    with atomic(folder / "instructions.txt") as path:
        path.write_text("\n".join(told) + "\n", "utf-8")
    names = []
    for layout in layouts:
        name = f"{rater}-{TITLES[layout.task].lower()}.csv"
        with atomic(folder / name) as path, path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(layout.columns)
            writer.writerows([as_text(cell) for cell in layout.cells(row)] for row in rows[layout.task])
        names.append(name)
    return names


def as_text(cell: str) -> str:
    """The cell so that no spreadsheet calculates it."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def read_csv(path: Path) -> Table:
    """The table of a CSV file: UTF-8, UTF-16 or Windows-1252; commas, semicolons, tabs or bars.

    The delimiter is the one that the header uses most. Raises `UserError`.
    """
    text = _decoded(path)
    if text.startswith("sep=") and "\n" in text:
        text = text.split("\n", 1)[1]
    csv.field_size_limit(LARGEST_FIELD)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = delimiter_of(header) or ","
    try:
        return Table(path, None, list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))
    except csv.Error as error:
        raise UserError(f"{path} is not CSV ({error}): save it as CSV or XLSX anew") from error


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
