"""A table as it lies in a file: cells as text, and where each is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
