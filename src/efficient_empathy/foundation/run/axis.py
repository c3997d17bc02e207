"""One axis of a rubric, as figures and tables need it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the rubric, and the whole numbers on it. `low` and `high` are None where no sample has a score."""

    name: str
    low: int
    high: int

    @property
    def values(self) -> range:
        """The scores of the axis."""
        return range(self.low, self.high + 1)

    def level(self) -> pl.Expr:
        """A row's score as a position on the axis, rounded to the nearest."""
        return pl.col(self.name).round().clip(self.low, self.high).cast(pl.Int32) - self.low
