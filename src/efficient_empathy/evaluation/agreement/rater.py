"""A rater: a judge or a person, with what it scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from efficient_empathy.selection.columns import ASSOCIATION

ITEM, ROUND = "item", "round"
PROBABILITIES = "_probabilities"
ABOUT = pl.Schema(
    {ITEM: pl.String(), "dialogue_id": pl.String(), "turn": pl.Int64(), "category": pl.String(), "words": pl.Int64()}
)
"""What may be known of an item: its conversation, its place in that (from 0), its category, its response's length."""


@dataclass(frozen=True)
class Rater:
    """One judge or person.

    `scores` has a row an item and round, rounds counted from 1: `item`, `round`, a Float64 column an axis (null where
    it gave none) and, where it gave distributions, `<axis>_probabilities` and perhaps `dependence`, of the two
    axes. `scales` are lowest and highest by axis, where they are known. `failed` counts what it could not score, by
    state.
    """

    name: str
    source: str
    scores: pl.DataFrame
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    about: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ABOUT))
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def axes(self) -> list[str]:
        """What it scored items on."""
        return [c for c in self.scores.columns if c not in (ITEM, ROUND, ASSOCIATION) and not c.endswith(PROBABILITIES)]

    def rounds(self) -> list[int]:
        """The rounds it has scores of, in order."""
        return sorted(self.scores[ROUND].unique().to_list())

    def named(self, name: str) -> Rater:
        """The same rater under another name."""
        return replace(self, name=name)
