"""Facility location: the rows that all rows are near to, picked greedily.

The value of some picks is the mean, over all rows, of the similarity of a row and its nearest pick, (1 + cosine) ÷ 2.
It is submodular, so that greedy picks, each the row that adds most, reach at least 63 % of the best value possible for
their number (Nemhauser, Wolsey & Fisher 1978, doi:10.1007/BF01588971). k-center seeks what is unlike the rest, strange
rows among it; this seeks what stands for many.

Every similarity counts, not those of some nearest neighbours alone. The gains of all rows are known at each step: a
pick changes them only through the rows that it is nearer to than all before, so these rows alone are compared with all,
by one matrix product in blocks. Over k picks that is about ln k times n² similarities, for few picks and for many; the
lazy evaluation of Minoux (1978, doi:10.1007/BFb0006528) needs as many, since the first picks change all gains.

The products are in float32, summed in float64. Rows whose gains come so near the highest that float32 may have told
them apart wrongly are computed anew in float64, so that the picks are those of plain greedy, on any number of threads,
and equal gains fall to the first row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.synthesis.diversity.points import Floats, Places, Points, Ties, require_size

_CHANGED, _ROWS = 512, 1024
"""Rows that became nearer to a pick are compared with so many others at once."""
_LOWEST = -1.01
"""Below any cosine, whatever is rounded."""
_NOISE = 4e-6
"""Gains are told apart from this much times √n on: a sum of n errors of float32, each 1e-7 or so, many times over."""
_MOST_EVEN = 256
_DIGITS = 9
"""A gain in float64 is rounded to so many digits after the point: equal rows have equal gains."""


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
        picks[place] = pick = cover.best()
        cover.take(pick)
        values[place] = cover.value
    return Facilities(cover.points.places[picks], values)


class _Cover:
    """How near each row is to its nearest pick, as a cosine, and what each row would add to the sum of these."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self._rows = points.rows
        n = len(self._rows)
        self._nearest = np.full(n, _LOWEST)
        self._is_taken = np.zeros(n, bool)
        totals = self._rows[:, :-1].sum(0, dtype=np.float64)
        self._gains = np.empty(n)
        for start in range(0, n, _ROWS):
            self._gains[start : start + _ROWS] = self._rows[start : start + _ROWS, :-1] @ totals - n * _LOWEST
        if points.centers:
            self._come_nearer(np.arange(n), self._nearest_centers())

    @property
    def value(self) -> float:
        """The mean of (1 + cosine) ÷ 2 with the nearest."""
        return float(self._nearest.mean(dtype=np.float64) + 1) / 2

    def best(self) -> int:
        """The row that adds most, the first of those that add as much."""
        left = np.where(self._is_taken, -np.inf, self._gains)
        even = np.flatnonzero(left >= left.max() - _NOISE * len(left) ** 0.5)[:_MOST_EVEN]
        even = even[np.sort(np.unique(self._rows[even], axis=0, return_index=True)[1])]  # of equal rows the first
        return int(even[self._exact_gains(even).argmax()] if len(even) > 1 else even[0])

    def take(self, pick: int) -> None:
        """Make a row a pick."""
        self._is_taken[pick] = True
        similarity = self._rows[:, :-1] @ self._rows[pick, :-1]
        self._come_nearer(
            np.flatnonzero(similarity > self._nearest - self.points.error), np.array([self.points.centers + pick])
        )

    def _nearest_centers(self) -> Places:
        """The centre that each row is nearest to."""
        nearest, place = np.full(len(self._rows), _LOWEST, np.float32), np.zeros(len(self._rows), np.int64)
        for start in range(0, len(nearest), _ROWS):
            part = slice(start, start + _ROWS)
            for first in range(0, self.points.centers, _ROWS):
                centers = self.points.table[first : min(first + _ROWS, self.points.centers), :-1]
                product = self._rows[part, :-1] @ centers.T
                is_nearer = product.max(1) > nearest[part]
                place[part] = np.where(is_nearer, first + product.argmax(1), place[part])
                nearest[part] = np.maximum(product.max(1), nearest[part])
        return place

    def _come_nearer(self, rows: Places, targets: Places) -> None:
        """Rows may come nearer by rows of the table that were taken (one for each, or one): others add less then."""
        for first in range(0, len(rows), _CHANGED):
            part = rows[first : first + _CHANGED]
            target = self.points.table[targets if len(targets) == 1 else targets[first : first + _CHANGED], :-1]
            new = (self._rows[part, :-1].astype(np.float64) * target).sum(1)
            part, old, new = (values[new > self._nearest[part]] for values in (part, self._nearest[part], new))
            factors = self._rows[part]
            factors[:, -1] = -old
            most = (new - old).astype(np.float32)[:, None]
            for start in range(0, len(self._rows), _ROWS):
                others = slice(start, start + _ROWS)
                added = factors @ self._rows[others].T
                np.clip(added, 0, most, out=added)
                self._gains[others] -= added.sum(0, dtype=np.float64)
            self._nearest[part] = new

    def _exact_gains(self, rows: Places) -> npt.NDArray[np.float64]:
        candidates = self._rows[rows, :-1].astype(np.float64).T
        gains = np.zeros(len(rows))
        for start in range(0, len(self._rows), _ROWS):
            part = slice(start, start + _ROWS)
            added = self._rows[part, :-1].astype(np.float64) @ candidates
            gains += np.maximum(added - self._nearest[part, None], 0).sum(0)
        return gains.round(_DIGITS)
