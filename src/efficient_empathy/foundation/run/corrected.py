"""The run's table under people's corrections: their columns, and what becomes of the judge's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.foundation.run.corrections import Corrections, Standing, score_fits
from efficient_empathy.foundation.run.facts import Axis

SET_SUBSET, SET_BECAUSE, SET_SCORES = "set_subset", "set_because", "set_scores"
"""The subset that a person set, "set by ann: it scolds" beside it, and the scores that people set in such words."""
CORRECTED_BY, TAGS, NOTE = "corrected_by", "tags", "note"
DECIDING = (SET_SUBSET, SET_BECAUSE, SET_SCORES)
"""What a selection reads of them."""
CORRECTION_COLUMNS = (*DECIDING, CORRECTED_BY, TAGS, NOTE)
LISTS = (CORRECTED_BY, TAGS)
_BETWEEN = "\n"
"""Stands in no tag and no name."""


class CorrectedColumns:
    """Expressions on frames that have `sample_id`, and for the judge's columns those.

    A person's score stands in place of the judge's, with all probability on it. Where people have set every axis, the
    sample has scores whatever became of its judgement. `std` and `probabilities` are how an axis's columns end.
    """

    def __init__(self, corrections: Corrections, axes: Sequence[Axis], std: str, probabilities: str) -> None:
        self._endings = ((std, _unspread), (probabilities, _certain))
        self._axes = {axis.name: axis for axis in axes}
        self._standing = corrections.standing
        self._values_by_name: dict[str, dict[str, Any]] = {}

    @cached_property
    def names(self) -> list[str]:
        """The columns of corrections that have a value in any row."""
        return [name for name in CORRECTION_COLUMNS if self._values(name)]

    def own(self, name: str) -> pl.Expr:
        """One of `CORRECTION_COLUMNS`."""
        column = _look_up(self._values(name), pl.String())
        return column.str.split(_BETWEEN) if name in LISTS else column

    def judged(self, name: str) -> pl.Expr:
        """A column of `scores.parquet` as it stands now; scores are null unless the row's state is ok."""
        if name == "state":
            whole = [sample for sample, it in self._standing.items() if self._is_whole(it)]
            ok = pl.col("sample_id").is_in(whole)
            return pl.when(ok).then(pl.lit("ok")).otherwise(pl.col(name)) if whole else pl.col(name)
        if name in self._axes:
            ok = pl.col("state").eq_missing(pl.lit("ok"))
            judged = pl.when(ok & pl.col(name).is_finite()).then(pl.col(name))
            values = self._scores_on(name)
            return pl.coalesce(_look_up(values, pl.Float32()), judged) if values else judged
        for axis in self._axes:
            for ending, change in self._endings:
                if name == axis + ending and (values := self._scores_on(axis)):
                    return change(_look_up(values, pl.Float32()), pl.col(name), self._axes[axis])
        return pl.col(name)

    def _is_whole(self, it: Standing) -> bool:
        return bool(self._axes) and all(name in it.scores and _fits(it, axis) for name, axis in self._axes.items())

    def _scores_on(self, name: str) -> dict[str, Any]:
        axis = self._axes.get(name)
        if axis is None:
            return {}
        return {
            sample: float(it.scores[name].value)
            for sample, it in self._standing.items()
            if name in it.scores and _fits(it, axis)
        }

    def _values(self, name: str) -> dict[str, Any]:
        say: dict[str, Callable[[Standing], str | None]] = {
            SET_SUBSET: lambda it: str(it.subset.value) if it.subset else None,
            SET_BECAUSE: lambda it: it.subset.text if it.subset else None,
            SET_SCORES: self._score_words,
            CORRECTED_BY: lambda it: _BETWEEN.join(it.people),
            TAGS: lambda it: _BETWEEN.join(it.tags),
            NOTE: lambda it: str(it.note.value) if it.note else None,
        }
        if name not in self._values_by_name:
            values = {sample: said for sample, it in self._standing.items() if (said := say[name](it))}
            self._values_by_name[name] = values
        return self._values_by_name[name]

    def _score_words(self, it: Standing) -> str:
        """For example "warmth 3 set by ann: it scolds"; the axes in the rubric's order."""
        axes = [axis for name, axis in self._axes.items() if name in it.scores and _fits(it, axis)]
        return "; ".join(f"{axis.name} {it.scores[axis.name].value} {it.scores[axis.name].text}" for axis in axes)


def _fits(it: Standing, axis: Axis) -> bool:
    return score_fits(it.scores[axis.name].value, (axis.low, axis.high))


def _look_up(values: dict[str, Any], dtype: pl.DataType) -> pl.Expr:
    """By sample its value, null for all others."""
    if not values:
        return pl.lit(None, dtype)
    ids = pl.Series(values.keys(), dtype=pl.String)
    return pl.col("sample_id").replace_strict(
        ids, pl.Series(values.values(), dtype=dtype), default=None, return_dtype=dtype
    )


def _unspread(score: pl.Expr, column: pl.Expr, axis: Axis) -> pl.Expr:
    """The judge's spread; none where a person set a score."""
    return pl.when(score.is_null()).then(column)


def _certain(score: pl.Expr, column: pl.Expr, axis: Axis) -> pl.Expr:
    """The judge's distributions, and where a person set a score one that has nothing else."""

    def change(columns: pl.Series) -> pl.Series:
        scores, tables = columns.struct.field("score"), columns.struct.field("table")
        rows = scores.is_not_null().arg_true().to_numpy()
        if not len(rows):
            return tables
        values = tables.to_numpy().copy()
        values[rows] = np.eye(len(axis.values), dtype=np.float32)[scores.to_numpy()[rows].astype(int) - axis.low]
        whole = pl.Series(values, dtype=tables.dtype)
        return whole.set(tables.is_null() & scores.is_null(), None)

    both = pl.struct(score.alias("score"), column.alias("table"))
    return both.map_batches(change, return_dtype=pl.Array(pl.Float32, len(axis.values)), is_elementwise=True)
