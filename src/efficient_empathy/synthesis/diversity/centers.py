"""k-center greedy: each pick is the row farthest from all picks before it (Gonzalez 1985,
doi:10.1016/0304-3975(85)90224-5). No row is then farther from its nearest pick than twice the least possible.

The plain loop compares every row with every pick, one pick at a time: n·k distances, at the speed of memory. Here a
row's distance to the picks is an upper bound until it matters. The rows of the highest bounds are compared with the
picks that they have missed, many at once, by one matrix product; then picks are made among them as long as they lie
above the bounds of all others. Rows that are never near the top are hardly looked at, and where most rows are kept a
pick is compared with those before it alone: k²/2 distances, at the speed of matrix products. The picks are those of
the plain loop, in its order (see `points`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.synthesis.diversity.points import SCALE, Floats, Places, Points, Rows, Ties, require_size

Squares = npt.NDArray[np.int64]
_ROWS, _PICKS = 2048, 1024
"""Rows that are compared at once, with so many picks."""
_FAR = 1 << 26
"""Above any square distance on the grid: the bound of a row that was compared with nothing yet."""
_PICKED = -1
"""The bound of a row that is picked; its key is negative, too."""


@dataclass(frozen=True)
class Centers:
    """The picks of k-center greedy."""

    order: Places
    """Their places among the rows, as they were picked: the first k of them are what a size of k gives."""
    distances: npt.NDArray[np.float64]
    """How far each was from the picks and centres before it; infinite where there were none."""
    radius: float
    """No row is farther from its nearest pick or centre than this."""


def k_center(rows: Floats, size: int, ties: Ties | None = None, centers: Floats | None = None) -> Centers:
    """Pick `size` of `rows` (n × width, of length 1) by Euclidean distance, which is √(2 − 2 cosine).

    With `centers`, rows that are taken already, what is farthest from these comes first. Rows that are equally far are
    picked in the order of `ties`; without centres, the row of the lowest tie is the first. Needs the memory of a copy
    of rows and centres. Raises `UserError` for rows that are not finite or not of length 1, and for a size that is
    none.
    """
    require_size(size, rows)
    search = _Search(Points.of(rows, ties, centers))
    picks, squares = search.pick(min(size + 1, len(rows)))  # the one after the last tells the radius
    distances = np.where(squares < _FAR, np.sqrt(squares) / SCALE, np.inf)
    radius = float(distances[size]) if size < len(rows) else 0.0
    return Centers(search.points.places[picks[:size]], distances[:size], radius)


class _Search:
    """What is known of each row: an upper bound of its square distance to the picks, and how many of these it has met.

    A row's key holds its bound and then its place, so that no two keys are equal and the highest is the next pick.
    """

    def __init__(self, points: Points) -> None:
        self.points = points
        self._n = len(points.rows)
        self._squares = points.squares[points.centers :]
        self._bounds = np.full(self._n, _FAR, np.int64)
        self._keys = self._keys_of(np.arange(self._n), self._bounds)
        self._met = np.zeros(self._n, np.int64)
        self._picks = np.arange(points.centers)
        """Places in the table: centres, then picks."""

    def pick(self, size: int) -> tuple[Places, Squares]:
        """The first `size` picks, and the square distance of each to those before."""
        self._picks = np.concatenate([self._picks, np.empty(size, np.int64)])
        squares = np.empty(size, np.int64)
        done = 0
        while done < size:
            rows, others = self._top()
            table = self._meet(rows, self.points.centers + done)
            above = np.flatnonzero(self._keys[rows] > others)
            if len(above):
                done = self._pick_among(rows[above], table[above], others, squares, done)
        return self._picks[self.points.centers :] - self.points.centers, squares

    def _keys_of(self, rows: Places, bounds: Squares) -> Squares:
        return bounds * self._n + (self._n - 1 - rows)

    def _top(self) -> tuple[Places, int]:
        """The rows of the highest keys, those that have met the fewest picks first, and the highest key of others."""
        rows, others = np.arange(self._n), _PICKED
        if self._n > _ROWS:
            last = self._n - _ROWS - 1
            rows = np.argpartition(self._keys, last)[last:]
            rows, others = rows[1:], int(self._keys[rows[0]])
        rows = rows[self._keys[rows] >= 0]
        return rows[np.argsort(self._met[rows], kind="stable")], max(others, _PICKED)

    def _meet(self, rows: Places, picks: int) -> Rows:
        """Compare rows with those of the first `picks` that each has missed; gives the rows' table."""
        table, met, lengths = self.points.rows[rows], self._met[rows], self._squares[rows]
        bounds = self._bounds[rows]
        start = int(met[0])
        while start < picks:
            count = int(np.searchsorted(met, start, "right"))
            end = min(picks, start + _PICKS, *met[count : count + 1].tolist())
            nearest = _compare(table[:count], self.points, self._picks[start:end]).min(1).astype(np.int64)
            bounds[:count] = np.minimum(bounds[:count], lengths[:count] + nearest)
            start = end
        self._bounds[rows], self._keys[rows], self._met[rows] = bounds, self._keys_of(rows, bounds), picks
        return table

    def _pick_among(self, rows: Places, table: Rows, others: int, squares: Squares, done: int) -> int:
        """Pick the highest of these rows until another row may be higher; gives how many picks there are then."""
        apart = _compare(table, self.points, self.points.centers + rows).astype(np.int32)
        lengths, bounds, keys = self._squares[rows], self._bounds[rows], self._keys[rows]
        while done < len(squares):
            best = int(keys.argmax())
            if keys[best] <= others:
                break
            squares[done] = bounds[best]
            self._picks[self.points.centers + done] = self.points.centers + rows[best]
            done += 1
            np.minimum(bounds, apart[best] + lengths[best], out=bounds)
            bounds[best] = _PICKED
            keys = self._keys_of(rows, bounds)
        self._bounds[rows], self._keys[rows], self._met[rows] = bounds, keys, self.points.centers + done
        return done


def _compare(table: Rows, points: Points, picks: Places) -> Rows:
    """|pick|² − 2 row·pick, shape (rows, picks): the square distance less the row's own square length."""
    factors = -2 * points.table[picks]
    factors[:, -1] = points.squares[picks]
    product: Rows = table @ factors.T
    return product
