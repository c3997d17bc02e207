"""Facility location: the rows that all rows are near to, picked greedily.

The value of some picks is the mean, over all rows, of the similarity of a row and its nearest pick, (1 + cosine) ÷ 2.
It is submodular, so that greedy picks, each the row that adds most, reach at least 63 % of the best value possible for
their number (Nemhauser, Wolsey & Fisher 1978, doi:10.1007/BF01588971). k-center seeks what is unlike the rest, strange
rows among it; this seeks what stands for many.

Every similarity counts, not those of some nearest neighbours alone. The gains of all rows are held exact: a pick
changes them only through the rows that it is nearer to than all before, so these rows alone are compared with all, by
one matrix product in blocks. Over k picks that is about ln k times n² similarities, for few picks and for many; the
lazy evaluation of Minoux (1978, doi:10.1007/BFb0006528) needs as many, since the first picks change all gains. Gains
are sums of whole numbers (see `points`), so that the picks are those of the plain greedy algorithm, ties included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.synthesis.diversity.points import SCALE, Floats, Places, Points, Ties, require_size

_CHANGED, _ROWS = 512, 1024
"""Rows that became nearer to a pick are compared with so many others at once."""
_TAKEN = -1.0


@dataclass(frozen=True)
class Facilities:
    """The picks of facility location."""

    order: Places
    """Their places among the rows, as they were picked: the first k of them are what a size of k gives."""
    values: npt.NDArray[np.float64]
    """The value with each pick and those before it."""


def facility_location(rows: Floats, size: int, ties: Ties | None = None, centers: Floats | None = None) -> Facilities:
    """Pick `size` of `rows` (n × width, of length 1) that all rows are near to; equal gains in the order of `ties`.

    With `centers`, rows that are taken already, picks add what these leave out. Needs the memory of a copy of rows and
    centres. Raises `UserError` for rows that are not finite or not of length 1, and for a size that is none.
    """
    require_size(size, rows)
    cover = _Cover(Points.of(rows, ties, centers))
    picks = np.empty(size, np.int64)
    values = np.empty(size)
    for place in range(size):
        picks[place] = pick = int(cover.gains.argmax())
        cover.take(pick)
        values[place] = cover.value
    return Facilities(cover.points.places[picks], values)


class _Cover:
    """How near each row is to its nearest pick, and what each row would add; in units of 1/`SCALE`²."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self._rows = points.rows
        n = len(self._rows)
        farthest = float(points.squares.max())
        self._nearest = np.full(n, -farthest, np.float32)
        totals = self._rows[:, :-1].sum(0, dtype=np.float64)
        self.gains = np.empty(n)
        """At first the sum of similarities with all rows. Whole numbers below 2**53."""
        for start in range(0, n, _ROWS):
            self.gains[start : start + _ROWS] = self._rows[start : start + _ROWS, :-1] @ totals + n * farthest
        self._is_taken = np.zeros(n, bool)
        if points.centers:
            self._come_nearer(self._nearest_center())

    @property
    def value(self) -> float:
        """The mean of (1 + cosine) ÷ 2 with the nearest."""
        return float(self._nearest.mean(dtype=np.float64) / SCALE**2 + 1) / 2

    def take(self, pick: int) -> None:
        """Make a row a pick."""
        self._is_taken[pick] = True
        self._come_nearer(self._rows[:, :-1] @ self._rows[pick, :-1])

    def _nearest_center(self) -> npt.NDArray[np.float32]:
        centers = self.points.table[: self.points.centers, :-1]
        nearest = self._nearest.copy()
        for start in range(0, len(nearest), _ROWS):
            part = slice(start, start + _ROWS)
            for first in range(0, len(centers), _ROWS):
                product = self._rows[part, :-1] @ centers[first : first + _ROWS].T
                np.maximum(nearest[part], product.max(1), out=nearest[part])
        return nearest

    def _come_nearer(self, similarity: npt.NDArray[np.float32]) -> None:
        """Rows are so similar to what was taken: those that come nearer by it leave less for others to add."""
        changed = np.flatnonzero(similarity > self._nearest)
        old, new = self._nearest[changed], similarity[changed]
        for first in range(0, len(changed), _CHANGED):
            part = slice(first, first + _CHANGED)
            factors = self._rows[changed[part]]
            factors[:, -1] = -old[part]
            most = (new - old)[part, None]
            for start in range(0, len(self._rows), _ROWS):
                others = slice(start, start + _ROWS)
                added = factors @ self._rows[others].T
                np.clip(added, 0, most, out=added)
                self.gains[others] -= added.sum(0, dtype=np.float64)
        self._nearest[changed] = new
        self.gains[self._is_taken] = _TAKEN
