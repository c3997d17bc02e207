"""k-center greedy: each pick is the row farthest from all picks before it (Gonzalez 1985,
doi:10.1016/0304-3975(85)90224-5). No row is then farther from its nearest pick than twice the least possible.

The plain loop compares every row with every pick, one pick at a time: n·k distances, at the speed of memory. Here a
row's distance to the picks is an upper bound until it matters. The rows of the highest bounds are compared with the
picks that they have missed, many at once, by one matrix product; then picks are made among them as long as they lie
above the bounds of all others. Rows that are never near the top are hardly looked at, and where most rows are kept a
pick is compared with those before it alone: k²/2 distances, at the speed of matrix products.

The products are in float32, whose last digits depend on the machine and the number of threads. They only say which
distances could be a row's least; these few are computed anew, exactly, as whole numbers on a grid of 2**-24, which is
as fine as float32 itself. So the picks are those of the plain loop in exact arithmetic, the same everywhere, ties
included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.synthesis.diversity.points import Floats, Places, Points, Rows, Ties, require_size

Squares = npt.NDArray[np.int64]
_ROWS, _PICKS = 2048, 1024
"""Rows that are compared at once, with so many picks."""
_PAIRS = 1024
"""Distances that are computed exactly at once."""
_MOST_PAIRS = 16
"""From so many a row on, all distances of a block are computed exactly, by one product."""
_SCALE = 2.0**24
_FAR = 1 << 52
"""Above any square distance on the grid: the bound of a row that was compared with nothing yet."""
_PICKED = -1
"""The bound of a row that is picked."""


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
    distances = np.where(squares < _FAR, np.sqrt(squares) / _SCALE, np.inf)
    radius = float(distances[size]) if size < len(rows) else 0.0
    return Centers(search.points.places[picks[:size]], distances[:size], radius)


class _Search:
    """What is known of each row: an upper bound of its square distance to the picks, and how many of these it has met.

    Of rows with equal bounds the first goes before the others.
    """

    def __init__(self, points: Points) -> None:
        self.points = points
        self._bounds = np.full(len(points.rows), _FAR, np.int64)
        self._met = np.zeros(len(points.rows), np.int64)
        self._picks = np.arange(points.centers)
        """Places in the table: centres, then picks."""

    def pick(self, size: int) -> tuple[Places, Squares]:
        """The first `size` picks, and the square distance of each to those before."""
        self._picks = np.concatenate([self._picks, np.empty(size, np.int64)])
        squares = np.empty(size, np.int64)
        done = 0
        while done < size:
            rows, level, other = self._top()
            self._meet(rows, self.points.centers + done)
            bounds = self._bounds[rows]
            above = rows[(bounds > level) | ((bounds == level) & (rows < other))]
            if len(above):
                done = self._pick_among(above, level, other, squares, done)
        return self._picks[self.points.centers :] - self.points.centers, squares

    def _top(self) -> tuple[Places, int, int]:
        """The rows of the highest bounds, in order, the lowest of these bounds, and the first other row that has it.

        Nothing outside goes before a row with a higher bound, or with this bound and an earlier place.
        """
        n = len(self._bounds)
        level = int(np.partition(self._bounds, n - _ROWS)[n - _ROWS]) if n > _ROWS else _PICKED
        level = max(level, 0)
        above, even = np.flatnonzero(self._bounds > level), np.flatnonzero(self._bounds == level)
        room = max(0, _ROWS - len(above))
        rows = np.sort(np.concatenate([above, even[:room]]))
        return rows, level, int(even[room]) if len(even) > room else n

    def _meet(self, rows: Places, picks: int) -> None:
        """Compare rows with those of the first `picks` that each has missed; none comes nearer than a copy."""
        rows = rows[self._bounds[rows] > 0]
        rows = rows[np.argsort(self._met[rows], kind="stable")]
        table, met = self.points.rows[rows], self._met[rows]
        start = int(met[0]) if len(rows) else picks
        while start < picks:
            count = int(np.searchsorted(met, start, "right"))
            end = min(picks, start + _PICKS, *met[count : count + 1].tolist())
            self._come_nearer(rows[:count], table[:count], self._picks[start:end])
            start = end
        self._met[rows] = picks

    def _come_nearer(self, rows: Places, table: Rows, picks: Places) -> None:
        """Lower the bounds of rows by picks that they have missed."""
        product = self._compare(table, picks)
        bounds, least = self._bounds[rows], product.min(1)
        limits = self._limits(bounds) - self.points.squares[self.points.centers + rows]
        hit = np.flatnonzero(least < limits)
        limits = np.minimum(limits, least + np.float32(2 * self.points.error))[hit]
        near, which = np.nonzero(product[hit] < limits[:, None])
        near = hit[near]
        if len(near) > _MOST_PAIRS * len(rows):
            bounds = np.minimum(bounds, self._exact_block(table, picks).min(1))
        else:
            np.minimum.at(bounds, near, self._exact(self.points.centers + rows[near], picks[which]))
        self._bounds[rows] = bounds

    def _pick_among(self, rows: Places, level: int, other: int, squares: Squares, done: int) -> int:
        """Pick the first of these rows until another one may go before; gives how many picks there are then."""
        places, table, bounds = self.points.centers + rows, self.points.rows[rows], self._bounds[rows]
        grid, product = _grid(table), self._compare(table, places)
        product += self.points.squares[places, None]
        limits = self._limits(bounds)
        while done < len(squares):
            best = int(bounds.argmax())
            if bounds[best] < level or (bounds[best] == level and rows[best] > other):
                break
            squares[done], self._picks[self.points.centers + done] = bounds[best], places[best]
            done += 1
            near = np.flatnonzero(product[best] < limits)
            if len(near) > 1:
                exact = ((grid[near] - grid[best]) ** 2).sum(1).astype(np.int64)
                bounds[near] = np.minimum(bounds[near], exact)
                limits[near] = self._limits(bounds[near])
            bounds[best], limits[best] = _PICKED, -1
        self._bounds[rows], self._met[rows] = bounds, self.points.centers + done
        return done

    def _compare(self, table: Rows, picks: Places) -> Rows:
        """|pick|² − 2 row·pick, shape (rows, picks): about the square distance less the row's own square length."""
        factors = -2 * self.points.table[picks]
        factors[:, -1] = self.points.squares[picks]
        product: Rows = table @ factors.T
        return product

    def _limits(self, bounds: Squares) -> Rows:
        """What a square distance by `_compare` is below if the true one is below its bound."""
        return (bounds / _SCALE**2 + self.points.error).astype(np.float32)

    def _exact(self, first: Places, second: Places) -> Squares:
        """Square distances of pairs of the table's rows."""
        squares = np.empty(len(first), np.int64)
        for start in range(0, len(first), _PAIRS):
            part = slice(start, start + _PAIRS)
            apart = _grid(self.points.table[first[part]]) - _grid(self.points.table[second[part]])
            squares[part] = np.einsum("ij,ij->i", apart, apart)
        return squares

    def _exact_block(self, table: Rows, picks: Places) -> Squares:
        """The same of all rows with all picks: sums of float64 stay below 2**53, so that none is rounded."""
        grid, others = _grid(table), _grid(self.points.table[picks])
        squares = np.einsum("ij,ij->i", grid, grid)[:, None] - 2 * (grid @ others.T)
        squares += np.einsum("ij,ij->i", others, others)
        exact: Squares = squares.astype(np.int64)
        return exact


def _grid(table: Rows) -> npt.NDArray[np.float64]:
    """Rows of the table in whole numbers of 1/`_SCALE`."""
    grid: npt.NDArray[np.float64] = np.rint(table[:, :-1].astype(np.float64) * _SCALE)
    return grid
