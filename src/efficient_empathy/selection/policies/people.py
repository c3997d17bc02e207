"""What people say of samples over what a policy makes of them: a subset that a person set wins, and says so."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from efficient_empathy.foundation.run.corrected import SET_BECAUSE, SET_SCORES, SET_SUBSET


def with_people(rows: pl.LazyFrame, subsets: Sequence[str]) -> pl.LazyFrame:
    """`rows` that have `subset` and `reason`, corrected where they have the columns of corrections.

    A set subset that is none of the policy's changes nothing. Scores that people set stand in the reason.
    """
    names = rows.collect_schema().names()
    reason, subset = pl.col("reason"), pl.col("subset").cast(pl.String)
    if SET_SCORES in names:
        reason = pl.concat_str([reason, pl.col(SET_SCORES)], separator="; ", ignore_nulls=True)
    if SET_SUBSET in names:
        is_set = pl.col(SET_SUBSET).is_in(subsets).fill_null(False)
        subset = pl.when(is_set).then(pl.col(SET_SUBSET)).otherwise(subset)
        reason = pl.when(is_set).then(pl.col(SET_BECAUSE)).otherwise(reason)
    if not {SET_SCORES, SET_SUBSET} & set(names):
        return rows
    return rows.with_columns(subset.alias("subset"), reason.alias("reason"))
