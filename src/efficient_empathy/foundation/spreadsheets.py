"""Tables that people open in a spreadsheet: what a stranger wrote stays a text, whatever it begins with.

A spreadsheet calculates a cell that begins with = + - or @, and some look past blanks, quotes and characters without
a width, or take the full-width forms for the same. An apostrophe before such a cell makes it a text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_QUOTES = "\"'`´‘’“”„«»"
FORMULA = rf"\A(?:'*[\t\r]|[{_UNSEEN}{_QUOTES}]*[=＝﹦+＋﹢\-－﹣−@＠﹫])"
"""What a cell begins with that may be calculated; the same for Python's expressions and those of polars."""
_formula = re.compile(FORMULA)


def as_text(cell: str) -> str:
    """The cell so that no spreadsheet calculates it."""
    return f"'{cell}" if _formula.match(cell) else cell


def original(cell: str) -> str:
    """The cell that `as_text` was given."""
    return cell[1:] if cell.startswith("'") and _formula.match(cell[1:]) else cell


def texts_only(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame to be written as CSV: `as_text` of every text and of the columns' names; numbers stay numbers."""
    import polars as pl

    names = [name for name, kind in frame.schema.items() if kind == pl.String]
    texts = (
        pl.when(pl.col(name).str.contains(FORMULA)).then("'" + pl.col(name)).otherwise(name).alias(name)
        for name in names
    )
    return frame.with_columns(*texts).rename(as_text)
