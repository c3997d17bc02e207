"""Which samples a golden set has: every occupied stratum as far as there is room, else in proportion; seeded."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import groupby

Stratum = tuple[str, ...]
"""From the coarse to the fine: the cell of scores, then the category."""
Row = tuple[Stratum, int]
"""A sample's stratum, and a number that is drawn from its id and the seed."""


def stratified(rows: Sequence[Row], n: int) -> dict[int, float]:
    """Positions of `n` of the rows (all, if there are fewer), each with how many rows it stands for.

    Room for every stratum of a level: each gets one, the rest go in proportion (Webster's method), and the next level
    is seen to within each. No room: rows in the order of their strata are taken at even distances, so that each has the
    same chance. Depends on the drawn numbers, never on the order of the rows.
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i])
    return _drawn([(rows[i][0], rows[i][1], i) for i in order], min(n, len(rows)), 0)


def _drawn(rows: list[tuple[Stratum, int, int]], n: int, level: int) -> dict[int, float]:
    """Of rows in the order of their strata, which are alike above `level`."""
    if n == len(rows):
        return {at: 1.0 for _, _, at in rows}
    if level == len(rows[0][0]):
        return {at: len(rows) / n for _, _, at in sorted(rows, key=lambda row: row[1])[:n]}
    groups = [list(found) for _, found in groupby(rows, key=lambda row: row[0][level])]
    if n < len(groups):
        start = min(number for _, number, _ in rows) % len(rows)
        taken = [rows[(start + k * len(rows) // n) % len(rows)] for k in range(n)]
        return {at: len(rows) / n for _, _, at in taken}
    found: dict[int, float] = {}
    for group, share in zip(groups, allocated([len(group) for group in groups], n), strict=True):
        found |= _drawn(group, share, level + 1)
    return found


def allocated(sizes: Sequence[int], n: int) -> list[int]:
    """`n` seats: one for each group, none above its size, the rest in proportion to `sizes` by Webster's method.

    `n` lies between the number of groups and the sum of sizes.
    """
    seats = [1] * len(sizes)
    waiting = [(-size / 3, i) for i, size in enumerate(sizes) if size > 1]
    heapq.heapify(waiting)
    for _ in range(n - len(sizes)):
        _, i = heapq.heappop(waiting)
        seats[i] += 1
        if seats[i] < sizes[i]:
            heapq.heappush(waiting, (-sizes[i] / (2 * seats[i] + 1), i))
    return seats
