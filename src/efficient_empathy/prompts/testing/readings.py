"""Scores as arrays: what a judge said of a golden set's items, round by round, and what was to be expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.dialogues import SAMPLE_SCHEMA, Sample
from efficient_empathy.foundation.run.facts import FACTS
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.prompts.testing.records import ItemRounds
from efficient_empathy.selection.policies import BoundRules, RulePolicy, Scales
from efficient_empathy.selection.policies.conditions import on_columns

Codes = npt.NDArray[np.int64]
NONE = -1
"""The subset of a reading without scores."""


@dataclass(frozen=True)
class WatchedRules:
    """The rules that put items into subsets, and what they ask of the items' texts."""

    bound: BoundRules
    facts: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """By comparison of `bound.fact_atoms`, of which items it holds, (items,)."""

    @classmethod
    def of(cls, policy: RulePolicy, scales: Scales, samples: Sequence[Sample]) -> WatchedRules:
        """The policy on a rubric's axes, for these items. Raises `UserError` where it looks at other axes."""
        bound = policy.bind(scales)
        if not policy.facts:
            return cls(bound)
        rows = pl.DataFrame([sample.row() for sample in samples], schema=SAMPLE_SCHEMA)
        facts = rows.select(FACTS[name].expression.alias(name) for name in policy.facts)
        holds = facts.select(on_columns(atom).alias(text) for text, atom in bound.fact_atoms.items())
        return cls(bound, {text: holds[text].to_numpy() for text in holds.columns})

    @property
    def subsets(self) -> tuple[str, ...]:
        """Their names, as the codes of `codes` count them."""
        return self.bound.policy.subsets

    def codes(self, scores: Floats, axes: Sequence[str]) -> Codes:
        """Each reading's position in `subsets`, from `scores` (items, rounds, axes); `NONE` where a score is nan."""
        own = {axis: scores[:, :, list(axes).index(axis)] for axis in self.bound.axes}
        shape = scores.shape[:2]
        facts = {text: np.broadcast_to(holds[:, None], shape) for text, holds in self.facts.items()}
        codes = np.broadcast_to(self.bound.codes_at({**own, **facts}), shape).astype(np.int64)
        missing = np.isnan(np.stack(list(own.values()))).any(0) if own else np.isnan(scores).any(2)
        return np.where(missing, NONE, codes)

    def reachable(self, low: Floats, high: Floats, axes: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which subsets whole scores from `low` to `high`, each (items, axes), fall into, (items, subsets)."""
        places = [list(axes).index(axis) for axis in self.bound.axes]
        result = np.zeros((len(low), len(self.subsets)), dtype=np.bool_)
        for i in range(len(low)):
            levels = np.meshgrid(*(np.arange(low[i, k], high[i, k] + 1) for k in places), indexing="ij")
            shape = levels[0].shape if levels else ()
            facts = {text: np.full(shape, holds[i]) for text, holds in self.facts.items()}
            result[i, np.unique(self.bound.codes_at({**dict(zip(self.bound.axes, levels, strict=True)), **facts}))] = (
                True
            )
        return result


@dataclass(frozen=True)
class Readings:
    """`scores` has shape (items, rounds, axes), nan where a judgement is not ok; `present`, (items, rounds), says
    where there is one at all."""

    axes: tuple[str, ...]
    scores: Floats
    present: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, items: Sequence[ItemRounds], axes: Sequence[str]) -> Readings:
        """From a result's items."""
        rounds = max((len(item.rounds) for item in items), default=0)
        scores = np.full((len(items), rounds, len(axes)), np.nan)
        present = np.zeros((len(items), rounds), dtype=np.bool_)
        for i, item in enumerate(items):
            for r, reading in enumerate(item.rounds):
                present[i, r] = reading.state is not None
                if reading.state == "ok" and reading.scores:
                    scores[i, r] = [reading.scores[axis] for axis in axes]
        return cls(tuple(axes), scores, present)

    @property
    def failures(self) -> Floats:
        """The share of each item's judgements that are not ok; nan where there is none."""
        not_ok = self.present & np.isnan(self.scores).any(2)
        return _ratio(not_ok.sum(1).astype(np.float64), self.present.sum(1).astype(np.float64))

    def means(self) -> Floats:
        """The mean over an item's rounds, (items, axes); nan where none is ok."""
        counts = ~np.isnan(self.scores)
        return _ratio(np.nansum(self.scores, 1), counts.sum(1).astype(np.float64))

    def variances(self) -> Floats:
        """The unbiased variance over an item's rounds, (items, axes); nan where fewer than two are ok."""
        counts = (~np.isnan(self.scores)).sum(1).astype(np.float64)
        apart = np.nansum((self.scores - self.means()[:, None]) ** 2, 1)
        return np.where(counts > 1, _ratio(apart, counts - 1), np.nan)

    def same(self) -> Floats:
        """The share of an item's pairs of rounds with the very same score, (items, axes); nan without a pair."""
        return pairs_alike(np.moveaxis(self.scores, 2, 0), np.moveaxis(self.scores, 2, 0), within=True).T

    def subsets(self, rules: WatchedRules) -> Codes:
        """The subset of every reading, (items, rounds)."""
        return rules.codes(self.scores, self.axes)


@dataclass(frozen=True)
class Expectations:
    """Ranges, both ends included, each of shape (items, axes); a number is a range of one."""

    axes: tuple[str, ...]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, expected: Sequence[Mapping[str, tuple[float, float]]], axes: Sequence[str]) -> Expectations:
        """From each item's ranges by axis."""
        table = np.array([[item[axis] for axis in axes] for item in expected], dtype=np.float64)
        return cls(tuple(axes), table[:, :, 0], table[:, :, 1])

    @property
    def numbers(self) -> npt.NDArray[np.bool_]:
        """Which items have a number on every axis, (items,)."""
        equal: npt.NDArray[np.bool_] = (self.low == self.high).all(1)
        return equal

    def nearest(self, scores: Floats) -> Floats:
        """What was expected, as near as it comes to `scores`, (items, rounds, axes): in a range the score itself."""
        return np.clip(scores, self.low[:, None], self.high[:, None])

    def permits(self, rules: WatchedRules) -> npt.NDArray[np.bool_]:
        """Which subsets whole scores in the range fall into, (items, subsets)."""
        return rules.reachable(self.low, self.high, self.axes)


def pairs_alike(first: npt.NDArray[Any], second: npt.NDArray[Any], *, within: bool = False) -> Floats:
    """The share of pairs of readings, one of each array, (…, rounds), that are equal; nan without a pair.

    nan and `NONE` are no readings. `within` takes two arrays that are one, and leaves a reading's pair with itself out.
    """
    there = [(one != NONE) & (one == one) for one in (first, second)]
    pairs = there[0][..., :, None] & there[1][..., None, :]
    if within:
        pairs = pairs & ~np.eye(first.shape[-1], dtype=np.bool_)
    equal = pairs & (first[..., :, None] == second[..., None, :])
    return _ratio(equal.sum((-1, -2)).astype(np.float64), pairs.sum((-1, -2)).astype(np.float64))


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio
