"""Texts as words by number: what topics, languages and duplicates are counted from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from efficient_empathy.analytics.table import Codes
from efficient_empathy.foundation.run.table import RunTable, readable

_LETTERS = r"\p{L}\p{M}\p{N}"
_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
TOKEN = rf"[{_ALONE}]|[{_LETTERS}]+(?:['’][\p{{L}}]+)*"
"""A word, or one letter of a script that is written without spaces."""


@dataclass(frozen=True)
class Words:
    """Row i has the words `vocabulary[codes[j]]` for j from `starts[i]` to `starts[i + 1]`; lower case."""

    starts: Codes
    codes: Codes
    vocabulary: list[str]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Codes:
        """How many words each row has."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Codes:
        """The row of each word."""
        return np.repeat(np.arange(len(self)), self.lengths)


def words(texts: pl.Series) -> Words:
    """Split texts; the vocabulary is sorted, so numbers hang on the texts alone."""
    found = texts.fill_null("").str.to_lowercase().str.extract_all(TOKEN)
    starts = np.concatenate([[0], found.list.len().to_numpy().astype(np.int64).cumsum()])
    flat = found.explode(empty_as_null=False)
    vocabulary = flat.unique().sort()
    codes = flat.cast(pl.Enum(vocabulary)).to_physical().to_numpy().astype(np.int64)
    return Words(starts, codes, vocabulary.to_list())


def read_exchanges(run: RunTable) -> pl.DataFrame:
    """Of each sample `last`, the turn that is responded to, the `role` of whose turn that is, and `response`."""
    last = pl.col("context").list.last().struct
    rows = run.scan(["context", "response"])
    with readable(run.workspace.samples):
        return rows.select(last.field("text").alias("last"), last.field("role").alias("role"), "response").collect(
            engine="streaming"
        )


def read_speakers(run: RunTable) -> pl.DataFrame:
    """Of each dialogue, in order of first samples, `text`: all that its speaker says in its longest context."""
    speaker = pl.element().struct.field("role") == "speaker"
    said = pl.col("context").list.eval(pl.element().filter(speaker).struct.field("text")).list.join(" ")
    with readable(run.workspace.samples):
        frame = run.scan(["dialogue_id", "context"]).select("dialogue_id", said.alias("text"))
        longest = pl.col("text").get(pl.col("text").str.len_chars().arg_max())
        return frame.group_by("dialogue_id", maintain_order=True).agg(longest).collect()
