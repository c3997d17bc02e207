"""What can be counted or told from a sample's text alone, and the axes of the rubric that it is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

WORD = r"\S+"
"""A word, wherever words are counted: whatever stands between white space."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: what it is called, whether it is text, and how it comes from the columns of `samples.parquet`."""

    words: str
    expression: pl.Expr
    is_text: bool = False


def _text(column: str) -> pl.Expr:
    """A column without the white space around its values; null for what is empty."""
    return pl.col(column).str.strip_chars().replace("", None)


def _language(texts: pl.Series) -> pl.Series:
    from efficient_empathy.foundation.language import languages

    return pl.Series(texts.name, languages(texts.to_list()), dtype=pl.String)


_TURNS = pl.col("context").list

FACTS: Mapping[str, Fact] = {
    "response_words": Fact("words in the response", pl.col("response").str.count_matches(WORD).cast(pl.Int64)),
    "context_words": Fact(
        "words in the context",
        _TURNS.eval(pl.element().struct.field("text").str.count_matches(WORD)).list.sum().cast(pl.Int64),
    ),
    "turn": Fact("turn of the response", pl.col("turn").cast(pl.Int64)),
    "questions": Fact("question marks in the response", pl.col("response").str.count_matches(r"[?？؟]").cast(pl.Int64)),
    "exclamations": Fact(
        "exclamation marks in the response", pl.col("response").str.count_matches(r"[!！]").cast(pl.Int64)
    ),
    "category": Fact("category", _text("category"), is_text=True),
    "split": Fact("split", _text("split"), is_text=True),
    "source": Fact("source", _text("source"), is_text=True),
    "language": Fact(
        "language of the response", pl.col("response").map_batches(_language, return_dtype=pl.String), is_text=True
    ),
}
"""Every fact by its name: a policy may use them all, and the run's table has each as a column."""

COUNTS = tuple(name for name, fact in FACTS.items() if not fact.is_text)
"""The facts that are whole numbers."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the rubric, and the whole numbers on it. `low` and `high` are None where no sample has a score."""

    name: str
    low: int
    high: int

    @property
    def values(self) -> range:
        """The scores of the axis."""
        return range(self.low, self.high + 1)

    def level(self) -> pl.Expr:
        """A row's score as a position on the axis, rounded to the nearest."""
        return pl.col(self.name).round().clip(self.low, self.high).cast(pl.Int32) - self.low
