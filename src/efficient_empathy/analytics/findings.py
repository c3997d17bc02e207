"""What is wrong with the data, sample by sample: each finding with its count, share and some ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.analytics import personal
from efficient_empathy.analytics.duplicates import Group, near_duplicates
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.analytics.table import Mask, Table
from efficient_empathy.analytics.texts import Words, words
from efficient_empathy.foundation import language
from efficient_empathy.foundation.errors import missing_extra

IDS, GROUPS = 50, 20
REPEATED, REPEATED_WORDS = 5, 3
"""A response is repeated where so many samples have it and it has so many words: "Thank you!" comes again by nature."""


def findings(table: Table, exchanges: pl.DataFrame, settings: AnalyticsSettings) -> list[dict[str, Any]]:
    """Each with `kind, count, share, ids` (the first 50), and what else its kind has; those of no sample too.

    A near duplicate is one of last turn and response together; `count` is how many samples could go, all but the first
    of each group. Texts are never in a finding, but for `repeated_response`. What an extra is missing for has no
    `count` and no `share`: they are None.
    """
    said = words(exchanges["response"])
    longest = table.column("response_words") > settings.longest
    context = table.column("context_words")
    listener = (exchanges["role"] != "speaker").fill_null(True).to_numpy()
    found = [
        _same_sample(table),
        _near(table, exchanges, settings),
        _finding(table, "empty_response", said.lengths == 0),
        _finding(table, "one_word_response", said.lengths == 1),
        _finding(table, "empty_context", context == 0),
        _finding(table, "long_response", longest, limit=settings.longest),
        _finding(table, "long_context", context > settings.longest_context, limit=settings.longest_context),
        _finding(table, "listener_last", listener),
        _language(table, exchanges),
        _repeated(table, exchanges["response"], said),
    ]
    either = exchanges.select(pl.concat_str("last", "response", separator="\n", ignore_nulls=True)).to_series()
    return found + [_finding(table, kind, marks) for kind, marks in personal.personal(either, settings.regions).items()]


def libraries() -> dict[str, str | None]:
    """The optional libraries that findings hang on, each with its version, None for one that is not installed."""
    return {name: version(name) if find_spec(name) else None for name in (language.LIBRARY, personal.LIBRARY)}


def missing_libraries() -> list[str]:
    """What is not looked for here, and what installs it."""
    notes = []
    if not language.available():
        notes.append(str(missing_extra("languages are not told apart, which", language.EXTRA)))
    if not personal.phones_available():
        notes.append(str(missing_extra("telephone numbers are not counted, which", personal.EXTRA)))
    return notes


def _finding(
    table: Table, kind: str, marks: Mask | None, ids: Sequence[int] | None = None, **more: Any
) -> dict[str, Any]:
    if marks is None:
        return {"kind": kind, "count": None, "share": None, "ids": [], **more}
    rows = np.flatnonzero(marks)[:IDS] if ids is None else np.asarray(ids[:IDS], np.int64)
    count = int(marks.sum())
    return {"kind": kind, "count": count, "share": count / max(1, len(table)), "ids": _ids(table, rows), **more}


def _ids(table: Table, rows: Sequence[int] | np.ndarray) -> list[str]:
    found: list[str] = table.rows["sample_id"].gather(pl.Series(rows, dtype=pl.UInt32)).to_list()
    return found


def _same_sample(table: Table) -> dict[str, Any]:
    """Samples whose context and response came before, letter by letter."""
    first = table.rows["sample_id"].is_first_distinct().to_numpy()
    return _finding(table, "same_sample", ~first)


def _near(table: Table, exchanges: pl.DataFrame, settings: AnalyticsSettings) -> dict[str, Any]:
    both = exchanges.select(pl.concat_str("last", "response", separator=" ", ignore_nulls=True)).to_series()
    groups = near_duplicates(words(both), settings.similarity, settings.seed)
    spare = np.zeros(len(table), dtype=np.bool_)
    for group in groups:
        spare[group.rows[1:]] = True
    across = sum(len(np.unique(table.dialogues[group.rows])) > 1 for group in groups)
    listed = [row for group in groups for row in group.rows]
    return _finding(
        table, "near_duplicate", spare, listed, similarity=settings.similarity, groups=len(groups),
        across_dialogues=across, largest=[_group(table, group) for group in groups[:GROUPS]],
    )  # fmt: skip


def _group(table: Table, group: Group) -> dict[str, Any]:
    return {"samples": len(group.rows), "least_similarity": group.least, "ids": _ids(table, group.rows[:IDS])}


def _language(table: Table, exchanges: pl.DataFrame) -> dict[str, Any]:
    """Samples whose response or last turn is in another language than most."""
    if not language.available():
        return _finding(table, "wrong_language", None, usual=None, responses_with_language=None, others={})
    columns = [exchanges[name].fill_null("").to_list() for name in ("response", "last")]
    codes = pl.Series(language.languages([*columns[0], *columns[1]]), dtype=pl.String)
    counts = Counter(codes.drop_nulls().to_list())
    usual = max(sorted(counts), key=counts.__getitem__, default=None)
    strange = (codes.is_not_null() & codes.ne_missing(usual)).to_numpy()
    others = {code: count for code, count in sorted(counts.items()) if code != usual}
    known = len(codes.head(len(table)).drop_nulls())
    return _finding(
        table, "wrong_language", strange[: len(table)] | strange[len(table) :], usual=usual,
        responses_with_language=known, others=others,
    )  # fmt: skip


def _repeated(table: Table, responses: pl.Series, said: Words) -> dict[str, Any]:
    """Samples whose response others have too, letter case and punctuation aside; all but the first of each."""
    key = responses.fill_null("").str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
    frame = pl.DataFrame({"key": key, "words": said.lengths}).with_row_index("row")
    frame = frame.filter(pl.col("words") >= REPEATED_WORDS).with_columns(pl.len().over("key").alias("times"))
    frame = frame.filter(pl.col("times") >= REPEATED)
    firsts = frame.filter(pl.col("key").is_first_distinct()).sort("times", "row", descending=[True, False])
    marks = np.zeros(len(table), dtype=np.bool_)
    marks[frame.filter(~pl.col("key").is_first_distinct())["row"].to_numpy()] = True
    most = [
        {"text": responses[row], "samples": times, "ids": _ids(table, frame.filter(key=key)["row"].to_list()[:IDS])}
        for row, key, times in firsts.head(GROUPS).select("row", "key", "times").iter_rows()
    ]
    return _finding(table, "repeated_response", marks, least=REPEATED, texts=len(firsts), largest=most)
