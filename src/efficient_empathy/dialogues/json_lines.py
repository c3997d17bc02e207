"""JSON lines that other tools load as a table."""

from __future__ import annotations

from typing import TypeVar

import polars as pl

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)


def uniform(frame: F) -> F:
    """The frame with empty text where text is missing, to be written as JSON lines.

    Hugging Face `datasets`, and the trainers that read with it, take each column's type from the first 10 MB of a file:
    a text column that is null so far has the type null, and the first text further on is an error. Empty text reads as
    missing in every format of ours.
    """
    return frame.with_columns(pl.col(pl.String).fill_null(""))
