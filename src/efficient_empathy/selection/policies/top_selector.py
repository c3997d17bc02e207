"""A top policy applied to a table of scores: each axis takes its own number of the best samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import UNSCORED, scored_on
from efficient_empathy.selection.policies.conditions import holds, on_columns
from efficient_empathy.selection.policies.definition import Scales
from efficient_empathy.selection.policies.people import with_people
from efficient_empathy.selection.policies.reasons import standing
from efficient_empathy.selection.policies.selector import NOT_SCORED_BECAUSE, SCORES, require_columns
from efficient_empathy.selection.policies.top_policy import TopPolicy
from efficient_empathy.selection.shares import Ties, tie_hash

Ranks = npt.NDArray[np.int64]
_ALL = "all samples"
_GROUP, _SIZE = "group of ranks", "size of group"


def take_best(ranks: Sequence[Ranks], ties: Ties, amounts: Sequence[int]) -> npt.NDArray[np.intp]:
    """The axis that takes each sample, as its position; the number of axes for those that none takes.

    `ranks` are each axis's from 1, all different; `amounts` are how many each axis takes, where there are enough. In
    order of rank each sample goes to the axis that ranks it best (of equal ranks, `ties` pick one), until one axis has
    its number. The others then go on with the samples that are left, in the same way.
    """
    labels = np.full(len(ties), len(ranks))
    axes = list(range(len(ranks)))
    while axes:
        left = np.flatnonzero(labels == len(ranks))
        here = np.stack([ranks[axis][left] for axis in axes])
        prefers = _preferences(here, ties[left])
        full_at = [_kth(here[k, prefers == k], amounts[axis]) for k, axis in enumerate(axes)]
        first = int(np.argmin(full_at))
        labels[left[(prefers == first) & (here[first] <= full_at[first])]] = axes[first]
        del axes[first]
    return labels


def _preferences(ranks: npt.NDArray[np.int64], ties: Ties) -> npt.NDArray[np.intp]:
    """The position of each sample's best rank, (axes, samples) → (samples)."""
    best = ranks == ranks.min(axis=0)
    turn = (ties % best.sum(axis=0).astype(np.uint64)).astype(np.int64) + 1
    choice: npt.NDArray[np.intp] = (best.cumsum(axis=0) == turn).argmax(axis=0)
    return choice


def _kth(ranks: Ranks, k: int) -> float:
    """The rank at which k samples are reached; 0 for none, infinite where there are fewer."""
    if k == 0:
        return 0
    return float(np.partition(ranks, k - 1)[k - 1]) if len(ranks) >= k else np.inf


@dataclass(frozen=True)
class TopSelector:
    """A top policy on the axes of a rubric. Ranks go by score: the expected one where the judge gave distributions."""

    policy: TopPolicy
    scales: Scales
    seed: int = 0

    def __post_init__(self) -> None:
        self.policy.amounts(self.scales)

    @cached_property
    def amounts(self) -> Mapping[str, float]:
        """How many each axis takes."""
        return self.policy.amounts(self.scales)

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that scored samples fall into: one per axis, and what is left out."""
        return (*self.amounts, self.policy.otherwise)

    @property
    def otherwise(self) -> str:
        """The subset that is left out."""
        return self.policy.otherwise

    def parameters(self) -> dict[str, Any]:
        """The policy's definition and the seed."""
        return {"policy": self.policy.definition(), "seed": self.seed}

    def decides_on(self, scores: pl.LazyFrame) -> str:
        """Always `scores`."""
        return SCORES

    def plan(self, scores: pl.LazyFrame, decided_on: str = "") -> pl.LazyFrame:
        """`scores` in the same order with `subset` and `reason`."""
        names, policy = scores.collect_schema().names(), self.policy
        axes = [axis for axis in self.scales if axis in self.amounts or axis in policy.names]
        require_columns(policy, axes, self.scales, names)
        if policy.needs_category and "category" not in names:
            raise UserError("taking the top of each category needs a column `category` beside the scores")
        scored = scored_on(axes)
        ranked = scored & holds(policy.tree, on_columns) if policy.tree else scored
        group = pl.col("category") if policy.needs_category else pl.lit(_ALL)
        rows = scores.select(
            "sample_id",
            ranked.alias("ranked"),
            *(pl.col(axis).cast(pl.Float32).alias(f"score of {axis}") for axis in self.amounts),
            group.cast(pl.String).alias("group"),
        ).collect(engine="streaming")
        marks = self._marks(rows)
        standings = standing(policy.atoms(), tuple(self.scales)) if policy.tree else pl.lit(None, pl.String)
        own_columns = scores.drop("subset", "reason", strict=False)
        corrected = (
            pl.concat([own_columns, marks.lazy()], how="horizontal")
            .with_columns(
                pl.when(~scored)
                .then(pl.lit(UNSCORED))
                .otherwise(pl.col("subset").fill_null(policy.otherwise))
                .alias("subset"),
                pl.when(~scored)
                .then(NOT_SCORED_BECAUSE)
                .when(pl.col("subset").is_null())
                .then(standings)
                .otherwise(self._reason())
                .alias("reason"),
            )
            .drop(set(marks.columns) - {"subset"})
        )
        return with_people(corrected, self.subsets)

    def assign(self, scores: pl.DataFrame) -> pl.DataFrame:
        """`scores` with `subset` and `reason`, rows in the same order."""
        return scores.with_columns(self.plan(scores.lazy()).select("subset", "reason").collect())

    def expected_counts(self, scores: pl.DataFrame) -> dict[str, int]:
        """How many samples each subset has."""
        counts = dict(self.assign(scores)["subset"].value_counts().iter_rows())
        return {subset: counts.get(subset, 0) for subset in self.subsets}

    def _marks(self, table: pl.DataFrame) -> pl.DataFrame:
        """Each ranked row's subset, group, ranks, and the number of samples they are ranks of; null for other rows."""
        rows = table.with_row_index("row").filter("ranked")
        missing = set(self.policy.quotas) - set(rows["group"].unique().to_list())
        if missing:
            raise UserError(f"quotas name categories without a sample to rank: {', '.join(sorted(missing))}")
        for number, axis in enumerate(self.scales):
            if axis in self.amounts:
                rows = rows.with_columns(self._rank(rows, number, axis))
        rows = rows.sort("group", "row")
        ties = tie_hash(rows["sample_id"], self.seed + len(self.scales))
        labels = self._labels(rows, [rows[_rank_of(axis)].to_numpy() for axis in self.amounts], ties)
        marks = rows.select(
            "row",
            pl.Series("subset", labels).replace_strict(dict(enumerate(self.subsets)), return_dtype=pl.String),
            pl.col("group").alias(_GROUP),
            pl.len().over("group").alias(_SIZE),
            *map(_rank_of, self.amounts),
        )
        every = pl.DataFrame({"row": pl.int_range(len(table), dtype=pl.UInt32, eager=True)})
        return every.join(marks, on="row", how="left", maintain_order="left").drop("row")

    def _rank(self, rows: pl.DataFrame, number: int, axis: str) -> pl.Series:
        """The rank of each row in its group by one axis, 1 for the best; equal scores in order of the axis's hash."""
        ties = pl.Series("tie", tie_hash(rows["sample_id"], self.seed + number))
        order = rows.select("row", "group", f"score of {axis}").with_columns(ties)
        order = order.sort("group", f"score of {axis}", "tie", "row", descending=[False, True, False, False])
        rank = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("group").alias(_rank_of(axis))
        return order.select("row", rank).sort("row")[_rank_of(axis)]

    def _labels(self, rows: pl.DataFrame, ranks: list[Ranks], ties: Ties) -> npt.NDArray[np.intp]:
        """The position in `subsets` of each row, the rows of a group standing together."""
        labels, start = np.full(len(rows), len(ranks)), 0
        for group, size in rows.group_by("group", maintain_order=True).len().iter_rows():
            here, start = slice(start, start + size), start + size
            quota = self.policy.quotas.get(group)
            numbers = [_count(amount if quota is None else quota, size) for amount in self.amounts.values()]
            labels[here] = take_best([rank[here] for rank in ranks], ties[here], numbers)
        return labels

    def _reason(self) -> pl.Expr:
        """For example "rank 12 of 5734 by sensibility"."""
        by_category = self.policy.needs_category
        place = pl.format(" in {}", pl.col(_GROUP).fill_null("no category")) if by_category else pl.lit("")
        pieces = [pl.format(f"{{}} by {axis}", _rank_of(axis)) for axis in self.amounts]
        rest = [pl.concat_str(pieces[:-1], separator=", "), pl.lit(" and ")] if len(pieces) > 1 else []
        ranks = pl.lit("ranks " if rest else "rank ")
        reason = pl.concat_str(ranks, *rest, pieces[-1], pl.lit(" of "), _SIZE, place)
        for axis in self.amounts:
            best = pl.format(f"rank {{}} of {{}} by {axis}{{}}", _rank_of(axis), _SIZE, place)
            reason = pl.when(pl.col("subset") == axis).then(best).otherwise(reason)
        return reason


def _rank_of(axis: str) -> str:
    return f"rank of {axis}"


def _count(amount: float, available: int) -> int:
    """A number or fraction of `available` as a number; a fraction gives at least one."""
    return int(amount) if amount >= 1 or amount == 0 else max(1, round(amount * available))
