"""What the data lacks: its cells, by category and subset, and how many samples each of them is to get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from efficient_empathy.foundation.run.record import Part


class Cell(Part):
    """One category in one subset: how many real samples it has, and how many synthetic ones it is to get."""

    category: str | None
    subset: str
    real: int
    wanted: int = 0


AnyCell = TypeVar("AnyCell", bound=Cell)


def fill_up(counts: Sequence[int], total: int) -> list[int]:
    """How `total` more are shared out so that the lowest of `counts` rise together, as water fills a vessel.

    What cannot be shared evenly goes to the first of the lowest.
    """
    heights = np.asarray(counts, np.int64)
    if not len(heights):
        return []
    order = np.argsort(heights, kind="stable")
    rising, level, left = 1, int(heights[order[0]]), total
    while rising < len(order):
        step = int(heights[order[rising]]) - level
        if step * rising > left:
            break
        left -= step * rising
        level += step
        rising += 1
    level, rest = level + left // rising, left % rising
    added = np.zeros(len(heights), np.int64)
    for place, index in enumerate(order[:rising]):
        added[index] = level - heights[index] + (place < rest)
    return [int(one) for one in added]


def by_category(cells: Sequence[AnyCell]) -> Mapping[str, list[AnyCell]]:
    """The cells by the name of their category."""
    grouped: dict[str, list[AnyCell]] = {}
    for cell in cells:
        grouped.setdefault(cell.category or "no category", []).append(cell)
    return grouped
