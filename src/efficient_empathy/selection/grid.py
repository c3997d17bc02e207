"""Policies that are a rule on the grid of both scores: `paper`, `exclusive`, `both`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.dependence import subset_masses
from efficient_empathy.selection.columns import (
    ANSWERED_BY,
    ASSOCIATION,
    AXES,
    DISTRIBUTIONS,
    NOT_SCORED_BECAUSE,
    RATIONALITY,
    SCORED,
    SENSIBILITY,
    UNSCORED,
    association,
    require_axes,
)
from efficient_empathy.selection.rules import DISCARD, RULES
from efficient_empathy.selection.shares import Probabilities, expected_shares, match_shares
from efficient_empathy.selection.ties import Ties, tie_hash

Decide = Literal["auto", "scores", "probabilities"]
PROBABILITIES = "probabilities"
MOST_PROBABLE = "most probable subsets"
LOWEST, HIGHEST = -1, 11
SCALE = 11
"""Whole scores 0–10."""
_BATCH = 1 << 17


@dataclass(frozen=True, slots=True)
class GridPolicy:
    """A rule with its thresholds: α on sensibility, β on rationality, any numbers from −1 to 11.

    `decide` says what the rule is applied to: `scores`, or `probabilities` (the judge's distributions, with shares as
    the judge expects them); `auto` takes the distributions where the judge gave them. Where a cascade's judges answered
    (`answered_by`), `auto` gives each sample its most probable subset: that is what the cascade's promise is about.
    """

    name: str
    alpha: float = 5
    beta: float = 5
    seed: int = 0
    decide: Decide = "auto"

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not LOWEST <= value <= HIGHEST:
                raise UserError(f"{name} is {value}: it must be a number from {LOWEST} to {HIGHEST}")
        if self.decide not in get_args(Decide):
            raise UserError(f"decide is {self.decide!r}: it must be one of {', '.join(get_args(Decide))}")

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets that every scored sample falls into, in the order they are shown."""
        return RULES[self.name].subsets

    def parameters(self) -> dict[str, Any]:
        """What the result depends on, besides the scores."""
        own = asdict(self)
        return {"policy": own.pop("name"), **own}

    def cells(self) -> npt.NDArray[np.str_]:
        """The subset of every pair of whole scores: an 11 × 11 array of names, `cells()[sensibility, rationality]`."""
        return np.array(self.subsets)[self._codes(*np.indices((SCALE, SCALE)))]

    def decides_on(self, scores: pl.LazyFrame) -> str:
        """`probabilities`, `most probable subsets`, `whole scores` or `scores`: what the rule is applied to."""
        names = scores.collect_schema().names()
        if self._by_probability(names):
            return MOST_PROBABLE if self._singly(names) else PROBABILITIES
        whole = scores.filter(SCORED).select(
            ((SENSIBILITY.floor() == SENSIBILITY) & (RATIONALITY.floor() == RATIONALITY)).all()
        )
        return "whole scores" if whole.collect(engine="streaming").item() else "scores"

    def plan(self, scores: pl.LazyFrame) -> pl.LazyFrame:
        """`scores` in the same order with `subset` and `reason`, and `p_<subset>` where probabilities decided."""
        names = scores.collect_schema().names()
        require_axes(names)
        if not self._by_probability(names):
            subset, reason = self._rule(), RULES[self.name].reason(self.alpha, self.beta)
        else:
            marks = self._marks(scores)
            kept = scores.drop(*marks.columns, *(n for n in names if n.startswith("p_")), strict=False)
            scores = pl.concat([kept, marks.lazy()], how="horizontal")
            subset, reason = pl.col("subset").cast(pl.String), self._odds(singly=self._singly(names))
        return scores.with_columns(
            pl.when(SCORED).then(subset).otherwise(pl.lit(UNSCORED)).alias("subset"),
            pl.when(SCORED).then(reason).otherwise(NOT_SCORED_BECAUSE).alias("reason"),
        )

    def assign(self, scores: pl.DataFrame) -> pl.DataFrame:
        """`scores` with `subset` and `reason`, rows in the same order."""
        return scores.with_columns(self.plan(scores.lazy()).select("subset", "reason").collect())

    def expected_counts(self, scores: pl.DataFrame) -> dict[str, int]:
        """How many samples each subset has; by probability, as many as the judge itself expects."""
        if self._by_probability(scores.columns) and not self._singly(scores.columns):
            _, p, _ = self._masses(scores.lazy())
            return dict(zip(self.subsets, expected_shares(p).tolist(), strict=True))
        found = self.assign(scores)["subset"].value_counts()
        counts = dict(zip(found["subset"], found["count"], strict=True))
        return {subset: counts.get(subset, 0) for subset in self.subsets}

    def _by_probability(self, columns: list[str]) -> bool:
        present = set(DISTRIBUTIONS) <= set(columns)
        if self.decide == "probabilities" and not present:
            raise UserError(
                "decide='probabilities' needs a judge that gives distributions; these scores have none: use 'scores'"
            )
        return present and self.decide != "scores"

    def _singly(self, columns: list[str]) -> bool:
        """Whether each sample's subset is decided without a look at the others."""
        return self.decide == "auto" and ANSWERED_BY in columns

    def _codes(self, s: npt.NDArray[Any], r: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The rule on arrays: each pair's position in `subsets`."""
        conditions = RULES[self.name].conditions(s, r, self.alpha, self.beta)
        codes = [np.intp(self.subsets.index(subset)) for subset, _ in conditions]
        return np.select([holds for _, holds in conditions], codes, np.intp(self.subsets.index(DISCARD)))

    def _rule(self) -> pl.Expr:
        """The rule on polars columns: each row's subset."""
        subset = pl.lit(DISCARD)
        for name, holds in reversed(RULES[self.name].conditions(SENSIBILITY, RATIONALITY, self.alpha, self.beta)):
            subset = pl.when(holds).then(pl.lit(name)).otherwise(subset)
        return subset

    def _masses(self, scores: pl.LazyFrame) -> tuple[npt.NDArray[np.bool_], Probabilities, Ties]:
        """Which rows have scores, and of those P(subset) and the hash that breaks ties."""
        cells = np.stack([self.cells() == subset for subset in self.subsets])
        together = association(scores.collect_schema().names())
        columns = scores.select("sample_id", SCORED.alias("scored"), SENSIBILITY, RATIONALITY, *DISTRIBUTIONS, together)
        scored, masses, ties = [], [], []
        for batch in _batches(columns):
            scored.append(batch["scored"].to_numpy())
            found = batch.filter("scored")
            ties.append(tie_hash(found["sample_id"], self.seed))
            masses.append(self._batch_masses(found, cells))
        empty = np.zeros((0, len(self.subsets)), dtype=np.float32)
        return (
            np.concatenate([np.zeros(0, dtype=np.bool_), *scored]),
            np.concatenate([empty, *masses]),
            np.concatenate([np.zeros(0, dtype=np.uint64), *ties]),
        )

    def _batch_masses(self, found: pl.DataFrame, cells: npt.NDArray[np.bool_]) -> Probabilities:
        """P(subset) by distribution; where a row has none, the rule on its scores is taken as certain."""
        s, r = (found[axis].to_numpy() for axis in AXES)
        masses = np.eye(len(self.subsets), dtype=np.float32)[self._codes(s, r)]
        given = found.select(pl.all_horizontal(pl.col(DISTRIBUTIONS).is_not_null())).to_series()
        if given.any():
            p_s, p_r, c = (found[name].filter(given).to_numpy() for name in (*DISTRIBUTIONS, ASSOCIATION))
            masses[given.to_numpy()] = subset_masses((p_s, p_r), cells, c[:, None])
        return masses

    def _marks(self, scores: pl.LazyFrame) -> pl.DataFrame:
        """What one row cannot know alone: each row's subset, and P of every subset; null for rows without scores."""
        scored, p, ties = self._masses(scores)
        singly = self._singly(scores.collect_schema().names())
        labels = p.argmax(axis=1) if singly else match_shares(p, expected_shares(p), ties)
        place = pl.Series(np.where(scored, np.cumsum(scored) - 1, 0)).set(pl.Series(~scored), None)
        found = pl.DataFrame(
            {"subset": pl.Series(labels, dtype=pl.UInt8), **{f"p_{n}": p[:, k] for k, n in enumerate(self.subsets)}}
        )
        names = pl.col("subset").replace_strict(dict(enumerate(self.subsets)), return_dtype=pl.Enum(self.subsets))
        return found.with_columns(names).select(pl.all().gather(place))

    def _odds(self, *, singly: bool) -> pl.Expr:
        """For example "P(sensibility) 0.71, P(rationality) 0.21, P(discard) 0.08; shares matched"."""
        how = "; the most probable" if singly else "; shares matched"
        hundredths = {n: f"{n / 100:.2f}" for n in range(101)}
        shown = [
            (pl.col(f"p_{subset}") * 100).round().cast(pl.UInt8).replace_strict(hundredths, return_dtype=pl.String)
            for subset in self.subsets
        ]
        return pl.format(", ".join(f"P({subset}) {{}}" for subset in self.subsets) + how, *shown)


def _batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    return iter(frame.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"))
