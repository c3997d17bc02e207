"""The facts of a sample that a policy's conditions may ask for, beside the scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: the column of its name in the table, the column's type, and what people call it."""

    name: str
    dtype: pl.DataType
    words: str

    @property
    def is_text(self) -> bool:
        """Whether it is compared with text; the others are whole numbers."""
        return self.dtype == pl.String()


FACTS: Mapping[str, Fact] = {
    fact.name: fact
    for fact in (
        Fact("response_words", pl.Int64(), "words in the response"),
        Fact("context_words", pl.Int64(), "words in the context"),
        Fact("turn", pl.Int64(), "turn of the response"),
        Fact("category", pl.String(), "category"),
        Fact("split", pl.String(), "split"),
        Fact("source", pl.String(), "source"),
        Fact("language", pl.String(), "language"),
    )
}
"""Every fact by name. A new one is a line here and a column of that name in the table."""
