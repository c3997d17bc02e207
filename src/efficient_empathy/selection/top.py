"""The policy `top`: the best samples of each axis, by rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.columns import (
    AXES,
    NOT_SCORED_BECAUSE,
    RATIONALITY,
    SCORED,
    SENSIBILITY,
    UNSCORED,
    require_axes,
)
from efficient_empathy.selection.rules import DISCARD
from efficient_empathy.selection.ties import tie_hash

Ranks = npt.NDArray[np.int64]
_ALL = "all samples"


@dataclass(frozen=True, slots=True)
class TopPolicy:
    """The best k, or the best fraction, by sensibility and by rationality; the rest is discarded.

    `top` stands for both `top_sensibility` and `top_rationality`. A sample that is at the top of both goes where its
    rank is better, and the other axis takes its next best instead, so that each has its k where there are enough.
    `per_category` takes k or the fraction within each category; `quotas` does the same with a k or fraction of its own
    for the categories it names. Equal scores are ranked by the seeded hash.
    """

    top: float | None = None
    top_sensibility: float | None = None
    top_rationality: float | None = None
    per_category: bool = False
    quotas: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    name: str = "top"

    def __post_init__(self) -> None:
        for option in ("top", "top_sensibility", "top_rationality"):
            if getattr(self, option) is not None:
                _check(option, getattr(self, option))
        for category, k in self.quotas.items():
            if k != 0 or isinstance(k, bool):
                _check(f"the quota of {category!r}", k)
        if not self.quotas and not any(self._amounts()):
            raise UserError(
                "the policy top needs to know how many: --top 1000 (samples an axis) or --top 0.3 (a fraction)"
            )

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that every scored sample falls into."""
        return (*AXES, DISCARD)

    def parameters(self) -> dict[str, Any]:
        """What the result depends on, besides the scores."""
        own = asdict(self) | {"quotas": dict(self.quotas)}
        return {"policy": own.pop("name"), **own}

    def decides_on(self, scores: pl.LazyFrame) -> str:
        """Always `scores`: ranks go by score, which is the expected score where the judge gives distributions."""
        return "scores"

    def plan(self, scores: pl.LazyFrame) -> pl.LazyFrame:
        """`scores` in the same order with `subset` and `reason`."""
        names = scores.collect_schema().names()
        require_axes(names)
        grouped = self.per_category or bool(self.quotas)
        if grouped and "category" not in names:
            raise UserError("taking the top of each category needs a column `category` beside the scores")
        group = pl.col("category") if grouped else pl.lit(_ALL)
        found = scores.select(
            "sample_id", SCORED.alias("scored"), SENSIBILITY, RATIONALITY, group.cast(pl.String).alias("group")
        ).collect(engine="streaming")
        marks = self._marks(found)
        kept = scores.drop("subset", "reason", strict=False)
        return (
            pl.concat([kept, marks.lazy()], how="horizontal")
            .with_columns(
                pl.when(SCORED).then("subset").otherwise(pl.lit(UNSCORED)).alias("subset"),
                pl.when(SCORED).then(_reason(grouped)).otherwise(NOT_SCORED_BECAUSE).alias("reason"),
            )
            .drop("_group", "_of", "_sensibility", "_rationality")
        )

    def assign(self, scores: pl.DataFrame) -> pl.DataFrame:
        """`scores` with `subset` and `reason`, rows in the same order."""
        return scores.with_columns(self.plan(scores.lazy()).select("subset", "reason").collect())

    def _amounts(self) -> tuple[float, float]:
        sensibility = self.top if self.top_sensibility is None else self.top_sensibility
        rationality = self.top if self.top_rationality is None else self.top_rationality
        return sensibility or 0, rationality or 0

    def _marks(self, found: pl.DataFrame) -> pl.DataFrame:
        """Each row's subset, group, ranks on both axes, and the number of samples they are ranks of."""
        rows = found.with_row_index("_row").filter("scored")
        missing = set(self.quotas) - set(rows["group"].unique().to_list())
        if missing:
            raise UserError(f"quotas name categories without a scored sample: {', '.join(sorted(missing))}")
        for shift, axis in enumerate(AXES):
            ties = pl.Series("_tie", tie_hash(rows["sample_id"], self.seed + shift))
            order = rows.with_columns(ties).sort("group", axis, "_tie", descending=[False, True, False])
            rank = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("group").alias(f"_{axis}")
            rows = order.select(*rows.columns, rank)
        rows = rows.sort("group", "_row")
        coin = tie_hash(rows["sample_id"], self.seed + len(AXES)) & np.uint64(1)
        ranks = [rows[f"_{axis}"].to_numpy() for axis in AXES]
        labels, start = np.full(len(rows), len(AXES)), 0
        for group, size in rows.group_by("group", maintain_order=True).len().iter_rows():
            here, start = slice(start, start + size), start + size
            wanted = [self.quotas[group]] * len(AXES) if group in self.quotas else self._amounts()
            labels[here] = _take([r[here] for r in ranks], coin[here].astype(int), [_count(k, size) for k in wanted])
        subset = pl.Series("subset", labels).replace_strict(dict(enumerate(self.subsets)), return_dtype=pl.String)
        marked = rows.select(
            "_row",
            subset,
            pl.col("group").alias("_group"),
            pl.len().over("group").alias("_of"),
            "_sensibility",
            "_rationality",
        )
        every = pl.DataFrame({"_row": pl.int_range(len(found), dtype=pl.UInt32, eager=True)})
        return every.join(marked, on="_row", how="left", maintain_order="left").drop("_row")


def _take(ranks: list[Ranks], coin: npt.NDArray[Any], wanted: list[int]) -> npt.NDArray[Any]:
    """0 or 1 for the samples that an axis takes, 2 for the rest.

    In order of rank each sample goes to the axis that ranks it higher, until one axis has its number; the other axis
    then takes its best of what is left.
    """
    prefers = np.where(ranks[0] == ranks[1], coin, ranks[1] < ranks[0])
    full_at = [_kth(ranks[axis][prefers == axis], wanted[axis]) for axis in (0, 1)]
    first = int(full_at[1] < full_at[0])
    labels = np.full(len(coin), 2)
    labels[(prefers == first) & (ranks[first] <= full_at[first])] = first
    left = np.flatnonzero(labels == 2)
    best = left[np.argsort(ranks[1 - first][left])]
    labels[best[: wanted[1 - first]]] = 1 - first
    return labels


def _kth(ranks: Ranks, k: int) -> float:
    """The rank at which k samples are reached; 0 for none, infinite where there are fewer."""
    if k == 0:
        return 0
    return float(np.partition(ranks, k - 1)[k - 1]) if len(ranks) >= k else np.inf


def _count(amount: float, available: int) -> int:
    """A number or fraction of `available` as a number; a fraction gives at least one."""
    return int(amount) if amount >= 1 or amount == 0 else max(1, round(amount * available))


def _check(option: str, amount: float) -> None:
    number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if not number or not math.isfinite(amount) or not (0 < amount < 1 or (amount >= 1 and amount == int(amount))):
        raise UserError(f"{option} is {amount}: it must be a whole number from 1, or a fraction between 0 and 1")


def _reason(grouped: bool) -> pl.Expr:
    """For example "rank 12 of 5734 by sensibility"."""
    place = pl.format(" in {}", pl.col("_group").fill_null("no category")) if grouped else pl.lit("")
    reason = pl.format(
        "ranks {} by sensibility and {} by rationality of {}{}", "_sensibility", "_rationality", "_of", place
    )
    for axis in AXES:
        taken = pl.format(f"rank {{}} of {{}} by {axis}{{}}", f"_{axis}", "_of", place)
        reason = pl.when(pl.col("subset") == axis).then(taken).otherwise(reason)
    return reason
