"""What the data lacks: its cells, what share of the data each is to have, and how many samples that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import TypeVar

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.synthesis.dimensions import CATEGORY, NONE, TOPIC

SUBSET = "subset"
MOST_CELLS = 10_000


class Cell(Part):
    """Samples of one subset that are alike: how many real ones there are, and how many synthetic ones are to come."""

    values: dict[str, str]
    """What they have in common, by dimension, such as their category."""
    subset: str
    real: int
    share: float
    """Of all cells' samples, real and synthetic, as far as there are enough of them."""
    wanted: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """Tells it from the plan's other cells."""
        return (*self.values.values(), self.subset)

    @property
    def name(self) -> str:
        """What its samples have in common but for the subset."""
        return ", ".join(_value_text(*one) for one in self.values.items()) or "all"


def _value_text(dimension: str, value: str) -> str:
    if value == NONE:
        return f"no {dimension}"
    return value if dimension in (CATEGORY, TOPIC) else f"{dimension} {value}"


AnyCell = TypeVar("AnyCell", bound=Cell)


def plan_cells(
    values: Mapping[str, Sequence[str]],
    subsets: Sequence[str],
    counts: Mapping[tuple[str, ...], int],
    targets: Mapping[tuple[str, str], float],
    wanted: int,
) -> list[Cell]:
    """Every combination of the dimensions' values and the subsets, with its part of the `wanted` samples.

    `counts` has the real samples by `Cell.key`. `targets` has shares by dimension (or `SUBSET`) and value; values
    without one share what is left evenly, and dimensions combine as if they were independent.

    Raises `UserError` for targets that name nothing or come to more than 1, and for more than `MOST_CELLS` cells.
    """
    sides = {**values, SUBSET: subsets}
    if (size := prod(len(side) for side in sides.values())) > MOST_CELLS:
        raise UserError(f"{size:,} cells are more than {MOST_CELLS:,}: plan --by fewer dimensions, or wider bands")
    shares = [_shares(name, side, targets) for name, side in sides.items()]
    if unknown := [name for name, _ in targets if name not in sides]:
        raise UserError(f"--target {unknown[0]}=…: the plan has {', '.join(sides)}; name it by --by as well")
    keys = list(product(*sides.values()))
    parts = [prod(one) for one in product(*shares)]
    real = [counts.get(key, 0) for key in keys]
    return [
        Cell(values=dict(zip(values, key[:-1], strict=True)), subset=key[-1], real=height, share=part, wanted=more)
        for key, height, part, more in zip(keys, real, parts, fill_up(real, wanted, parts), strict=True)
    ]


def _shares(name: str, values: Sequence[str], targets: Mapping[tuple[str, str], float]) -> list[float]:
    """What part each of a dimension's values is to have."""
    given = {value: share for (dimension, value), share in targets.items() if dimension == name}
    if unknown := [value for value in given if value not in values]:
        known = ", ".join(values[:12]) + (", …" if len(values) > 12 else "")
        raise UserError(f"--target {name}={unknown[0]}: there is no such {name}, but {known}")
    rest = 1 - sum(given.values())
    others = len(values) - len(given)
    if rest < -1e-9 or (not others and rest > 1e-9):
        raise UserError(f"the targets of {name} come to {sum(given.values()):g}: they are shares of 1")
    return [given[value] if value in given else max(0.0, rest) / others for value in values]


def fill_up(counts: Sequence[int], total: int, shares: Sequence[float] | None = None) -> list[int]:
    """How `total` more are shared out so that the lowest of `counts` rise together, as water fills a vessel.

    A count is low in relation to its share; all are alike without `shares`, and one with a share of 0 never rises. What
    cannot be shared evenly goes where most is missing, and to the first of the lowest among equals.
    """
    real = np.asarray(counts, np.float64)
    widths = np.ones(len(real)) if shares is None else np.asarray(shares, np.float64)
    added = np.zeros(len(real), np.int64)
    places = np.flatnonzero(widths > 0)
    if not len(places):
        return added.tolist()
    heights = real[places] / widths[places]
    order = np.argsort(heights, kind="stable")
    places, heights = places[order], heights[order]
    width, volume = np.cumsum(widths[places]), np.cumsum(real[places])
    levels = (total + volume) / width  # what the level is if so many of the lowest rise
    rising = int(np.argmax(np.append(levels[:-1] <= heights[1:], True))) + 1
    exact = np.maximum(levels[rising - 1] * widths[places[:rising]] - real[places[:rising]], 0)
    whole = np.floor(exact + 1e-9).astype(np.int64)
    missing = np.argsort(-(exact - whole).round(9), kind="stable")[: total - int(whole.sum())]
    whole[missing] += 1
    added[places[:rising]] = whole
    return added.tolist()


def by_name(cells: Sequence[AnyCell]) -> Mapping[str, list[AnyCell]]:
    """The cells by what their samples have in common but for the subset."""
    grouped: dict[str, list[AnyCell]] = {}
    for cell in cells:
        grouped.setdefault(cell.name, []).append(cell)
    return grouped
