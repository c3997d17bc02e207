"""Scores as arrays: what a judge said of a golden set's items, round by round, and what was to be expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.columns import AXES
from efficient_empathy.selection.rules import DISCARD, RULES

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
NONE = -1
"""The subset of a reading without scores."""


@dataclass(frozen=True)
class Thresholds:
    """The rule that puts samples into subsets."""

    policy: str = "paper"
    alpha: float = 5
    beta: float = 5

    @classmethod
    def of(cls, told: Mapping[str, Any] | None, **changes: Any) -> Thresholds:
        """From a manifest, with what is not None in `changes` on top. Raises `UserError` for a policy without any."""
        found = cls(**{**(told or {}), **{key: value for key, value in changes.items() if value is not None}})
        if found.policy not in RULES:
            raise UserError(
                f"the policy {found.policy!r} puts no single sample into a subset: choose one of {', '.join(RULES)}"
            )
        return found

    @property
    def subsets(self) -> tuple[str, ...]:
        """Their names, as the codes of `codes` count them."""
        return RULES[self.policy].subsets

    def codes(self, sensibility: Floats, rationality: Floats) -> Codes:
        """Each pair's position in `subsets`, `NONE` where a score is nan; shape as the arrays'."""
        with np.errstate(invalid="ignore"):
            rules = RULES[self.policy].conditions(sensibility, rationality, self.alpha, self.beta)
        codes = [np.int64(self.subsets.index(subset)) for subset, _ in rules]
        found = np.select([holds for _, holds in rules], codes, np.int64(self.subsets.index(DISCARD)))
        return np.where(np.isnan(sensibility) | np.isnan(rationality), NONE, found)


@dataclass(frozen=True)
class Readings:
    """`scores` has shape (items, rounds, axes), nan where a judgement is not ok; `asked`, (items, rounds), where there
    is one at all."""

    axes: tuple[str, ...]
    scores: Floats
    asked: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, items: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> Readings:
        """From a result's `items`: each with `rounds`, a list of `{"state", "scores"?}`."""
        rounds = max((len(item["rounds"]) for item in items), default=0)
        scores = np.full((len(items), rounds, len(axes)), np.nan)
        asked = np.zeros((len(items), rounds), dtype=np.bool_)
        for i, item in enumerate(items):
            for r, told in enumerate(item["rounds"]):
                asked[i, r] = told["state"] is not None
                if told["state"] == "ok":
                    scores[i, r] = [told["scores"][axis] for axis in axes]
        return cls(tuple(axes), scores, asked)

    @property
    def failures(self) -> Floats:
        """The share of each item's judgements that are not ok; nan where there is none."""
        failed = self.asked & np.isnan(self.scores).any(2)
        return _ratio(failed.sum(1).astype(np.float64), self.asked.sum(1).astype(np.float64))

    def means(self) -> Floats:
        """The mean over an item's rounds, (items, axes); nan where none is ok."""
        given = ~np.isnan(self.scores)
        return _ratio(np.nansum(self.scores, 1), given.sum(1).astype(np.float64))

    def variances(self) -> Floats:
        """The unbiased variance over an item's rounds, (items, axes); nan where fewer than two are ok."""
        given = (~np.isnan(self.scores)).sum(1).astype(np.float64)
        apart = np.nansum((self.scores - self.means()[:, None]) ** 2, 1)
        return np.where(given > 1, _ratio(apart, given - 1), np.nan)

    def same(self) -> Floats:
        """The share of an item's pairs of rounds with the very same score, (items, axes); nan without a pair."""
        return pairs_alike(np.moveaxis(self.scores, 2, 0), np.moveaxis(self.scores, 2, 0), within=True).T

    def subsets(self, thresholds: Thresholds) -> Codes | None:
        """The subset of every reading, (items, rounds); None for a rubric without sensibility and rationality."""
        if not set(AXES) <= set(self.axes):
            return None
        return thresholds.codes(*(self.scores[:, :, self.axes.index(axis)] for axis in AXES))


@dataclass(frozen=True)
class Expected:
    """Ranges, both ends included, each of shape (items, axes); a number is a range of one."""

    axes: tuple[str, ...]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, expected: Sequence[Mapping[str, tuple[float, float]]], axes: Sequence[str]) -> Expected:
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

    def permits(self, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
        """Which subsets whole scores in the range fall into, (items, subsets)."""
        s, r = (self.axes.index(axis) for axis in AXES)
        found = np.zeros((len(self.low), len(thresholds.subsets)), dtype=np.bool_)
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            grid = np.meshgrid(np.arange(low[s], high[s] + 1), np.arange(low[r], high[r] + 1))
            found[i, np.unique(thresholds.codes(*grid))] = True
        return found


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
    found: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found
