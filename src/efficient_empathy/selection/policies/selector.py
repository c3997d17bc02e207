"""A policy applied to a table of scores: which subset each row is in, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, get_args

import numpy as np
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import UNSCORED, scored_on
from efficient_empathy.selection.policies.distributions import ReadyBatch, distribution_column, masses_of, ready_batches
from efficient_empathy.selection.policies.people import with_people
from efficient_empathy.selection.policies.reasons import odds, rule_reasons
from efficient_empathy.selection.policies.rule_policy import BoundRules, RulePolicy
from efficient_empathy.selection.policies.top_policy import TopPolicy
from efficient_empathy.selection.settings import Decide
from efficient_empathy.selection.shares import expected_shares, match_shares

WHOLE_SCORES, SCORES, PROBABILITIES = "whole scores", "scores", "probabilities"
MOST_PROBABLE = "most probable subsets"
MOST_CELLS = 10_000
"""As many combinations of whole scores are looked up; where a rubric has more, every row is worked out."""
ANSWERED_BY = "answered_by"
"""The column that says whose judgement a row has, where several judges shared the work; see `labelling.cascade`."""
NOT_SCORED_BECAUSE = (
    pl.when(pl.col("state").is_null())
    .then(pl.lit("not judged"))
    .when(pl.col("state") != "ok")
    .then(pl.col("state"))
    .otherwise(pl.lit("ok, but without a score"))
)


class Selector(Protocol):
    """Puts every row of a table into one subset, and says why.

    The table has `sample_id`, `state`, a column per axis, and one per fact that the policy asks for. Rows keep their
    order. Rows without a score on an axis that the policy looks at are in the subset `unscored`, with their state as
    the reason. Where the table has the columns of people's corrections (`foundation.run.corrected.DECIDING`), a subset
    that a person set wins.
    """

    @property
    def policy(self) -> RulePolicy | TopPolicy:
        """The policy that is applied."""
        ...

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that scored samples fall into, in the order they are shown."""
        ...

    @property
    def otherwise(self) -> str:
        """The subset that is left out."""
        ...

    def parameters(self) -> dict[str, Any]:
        """What the result depends on, besides the table: plain values that go into the manifest."""
        ...

    def decides_on(self, scores: pl.LazyFrame) -> str:
        """`whole scores`, `scores`, `probabilities` or `most probable subsets`."""
        ...

    def plan(self, scores: pl.LazyFrame, decided_on: str = "") -> pl.LazyFrame:
        """`assign` for tables past memory; has `p_<subset>` too where probabilities decide.

        It is faster for who says what `decides_on` has answered for these scores.
        """
        ...

    def assign(self, scores: pl.DataFrame) -> pl.DataFrame:
        """`scores` with the columns `subset` and `reason`."""
        ...

    def expected_counts(self, scores: pl.DataFrame) -> dict[str, int]:
        """How many samples each subset has."""
        ...


@dataclass(frozen=True)
class RuleSelector:
    """Rules on the axes of a rubric, applied to scores or to the judge's distributions.

    `decide` says to what: `scores`, or `probabilities` (the distributions, with shares as the judge expects them);
    `auto` takes the distributions where the judge gave them. Where several judges shared the work (`answered_by`),
    `auto` gives each sample its most probable subset: that is what a cascade's guarantee is about.
    """

    bound: BoundRules
    decide: Decide = "auto"
    seed: int = 0
    ready: Sequence[ReadyBatch] | None = field(default=None, compare=False, repr=False)
    """The `ready_batches` of the very rows that it is applied to, for who selects from them again and again."""

    def __post_init__(self) -> None:
        if self.decide not in get_args(Decide):
            raise UserError(f"decide is {self.decide!r}: it must be one of {', '.join(get_args(Decide))}")

    @property
    def policy(self) -> RulePolicy:
        """The policy that is applied."""
        return self.bound.policy

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that scored samples fall into, in the order they are shown."""
        return self.bound.policy.subsets

    @property
    def otherwise(self) -> str:
        """The subset that is left out."""
        return self.bound.policy.otherwise

    def parameters(self) -> dict[str, Any]:
        """The policy's definition, `decide` and `seed`."""
        return {"policy": self.bound.policy.definition(), "decide": self.decide, "seed": self.seed}

    def decides_on(self, scores: pl.LazyFrame) -> str:
        """`probabilities`, `most probable subsets`, `whole scores` or `scores`: what the rules are applied to."""
        names = scores.collect_schema().names()
        if self.by_probability(names):
            return MOST_PROBABLE if self._singly(names) else PROBABILITIES
        values = {axis: pl.col(axis).cast(pl.Float32) for axis in self.bound.axes}
        whole = [((v.floor() == v) & v.is_between(*self.bound.scales[axis])).all() for axis, v in values.items()]
        whole_only = scores.filter(self._scored).select(pl.all_horizontal(pl.lit(True), *whole))
        return WHOLE_SCORES if whole_only.collect(engine="streaming").item() else SCORES

    def plan(self, scores: pl.LazyFrame, decided_on: str = "") -> pl.LazyFrame:
        """`scores` in the same order with `subset` and `reason`, and `p_<subset>` where probabilities decided.

        Whole scores are few: if `decided_on` says that there are no others, each cell of the axes is decided once.
        """
        names = scores.collect_schema().names()
        require_columns(self.policy, self.bound.axes, self.bound.scales, names)
        if self.by_probability(names):
            marks = self._marks(scores)
            rows = scores.drop("subset", *(n for n in names if n.startswith("p_")), strict=False)
            scores = pl.concat([rows, marks], how="horizontal")
            subset, reason = pl.col("subset").cast(pl.String), odds(self.subsets, singly=self._singly(names))
        elif decided_on == WHOLE_SCORES and not self.policy.facts and self._cells <= MOST_CELLS:
            subset, reason = self._look_up()
        else:
            subset, reason = self.bound.subset_expression(), rule_reasons(self.bound)
        rows = scores.with_columns(
            pl.when(self._scored).then(subset).otherwise(pl.lit(UNSCORED)).alias("subset"),
            pl.when(self._scored).then(reason).otherwise(NOT_SCORED_BECAUSE).alias("reason"),
        )
        return with_people(rows, self.subsets)

    def assign(self, scores: pl.DataFrame) -> pl.DataFrame:
        """`scores` with `subset` and `reason`, rows in the same order."""
        return scores.with_columns(self.plan(scores.lazy()).select("subset", "reason").collect())

    def expected_counts(self, scores: pl.DataFrame) -> dict[str, int]:
        """How many samples each subset has; by probability, as many as the judge itself expects."""
        if self.by_probability(scores.columns) and not self._singly(scores.columns):
            p = masses_of(self.bound, self.ready_batches(scores.lazy())).p
            return dict(zip(self.subsets, expected_shares(p).tolist(), strict=True))
        counts = dict(self.assign(scores)["subset"].value_counts().iter_rows())
        return {subset: counts.get(subset, 0) for subset in self.subsets}

    def by_probability(self, columns: Sequence[str]) -> bool:
        """Whether distributions decide in a table with these columns. Raises `UserError` where they should and lack."""
        axes = self.bound.axes
        present = bool(axes) and set(map(distribution_column, axes)) <= set(columns)
        if self.decide == "probabilities" and not present:
            raise UserError(
                "decide='probabilities' needs a judge that gives distributions; these scores have none "
                f"on {', '.join(axes) or 'an axis that the policy looks at'}: use 'scores'"
            )
        return present and self.decide != "scores"

    def ready_batches(self, scores: pl.LazyFrame) -> Iterable[ReadyBatch]:
        """What thresholds do not change of these rows, one batch at a time unless they were `ready`."""
        return ready_batches(self.bound, scores, self._scored, self.seed) if self.ready is None else self.ready

    @cached_property
    def _scored(self) -> pl.Expr:
        return scored_on(self.bound.axes)

    def _singly(self, columns: Sequence[str]) -> bool:
        """Whether each sample's subset is decided without a look at the others."""
        return self.decide == "auto" and ANSWERED_BY in columns

    @cached_property
    def _cells(self) -> int:
        return math.prod(high - low + 1 for low, high in map(self.bound.scales.__getitem__, self.bound.axes))

    def _look_up(self) -> tuple[pl.Expr, pl.Expr]:
        """The subset and the reason of whole scores, found by the number of their cell."""
        cell, cells = pl.lit(0), pl.LazyFrame({"cell": range(self._cells)})
        stride = 1
        for axis in self.bound.axes:
            low, high = self.bound.scales[axis]
            cell += (pl.col(axis).cast(pl.Int32, strict=False) - low) * stride
            level = pl.col("cell") // stride % (high - low + 1) + low
            cells = cells.with_columns(level.cast(pl.Float32).alias(axis))
            stride *= high - low + 1
        decided = cells.select(subset=self.bound.subset_expression(), reason=rule_reasons(self.bound)).collect()
        old = range(self._cells)
        subset, reason = (cell.replace_strict(old, decided[name], default=None) for name in ("subset", "reason"))
        return subset, reason

    def _marks(self, scores: pl.LazyFrame) -> pl.LazyFrame:
        """What one row cannot know alone: each row's subset, and P of every subset; null for rows without scores."""
        rows = masses_of(self.bound, self.ready_batches(scores))
        singly = self._singly(scores.collect_schema().names())
        labels = rows.p.argmax(axis=1) if singly else match_shares(rows.p, expected_shares(rows.p), rows.ties)
        place = pl.Series(np.where(rows.scored, np.cumsum(rows.scored) - 1, 0)).set(pl.Series(~rows.scored), None)
        marks = pl.LazyFrame(
            {
                "subset": pl.Series(labels, dtype=pl.UInt8),
                **{f"p_{name}": rows.p[:, k] for k, name in enumerate(self.subsets)},
            }
        )
        names = pl.col("subset").replace_strict(dict(enumerate(self.subsets)), return_dtype=pl.Enum(self.subsets))
        return marks.with_columns(names).select(pl.all().gather(place))


def require_columns(
    policy: RulePolicy | TopPolicy, axes: Iterable[str], scales: Iterable[str], columns: Sequence[str]
) -> None:
    """Raise `UserError` unless a table has those `axes` of the `scales`, and the facts, that the policy looks at."""
    missing = [axis for axis in axes if axis not in columns]
    if missing:
        here = ", ".join(axis for axis in scales if axis in columns) or "none"
        raise UserError(
            f"the policy {policy.name} needs scores on {', '.join(axes)}; these have {here}. Score with a rubric that "
            "has them, or select by another policy"
        )
    absent = [fact for fact in policy.facts if fact not in columns]
    if absent:
        raise UserError(
            f"the policy {policy.name} asks for {absent[0]} of each sample, and the table has no such column"
        )
