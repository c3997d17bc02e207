"""From values to places in a figure: scales, round ticks, labels that keep apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale: `low` is drawn at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value is drawn."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round numbers within the scale, roughly `about` of them."""
        return round_numbers(self.low, self.high, about)


@dataclass(frozen=True, slots=True)
class LogScale:
    """A logarithmic scale of positive numbers: `low` is drawn at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value is drawn."""
        return self.start + math.log(value / self.low) / math.log(self.high / self.low) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Powers of ten within the scale, at most about so many; over less than two decades also twos and fives."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if self.high / self.low < 100 else (1,)
        every = [m * 10.0**e for e in decades for m in steps]
        within = [value for value in every if self.low * 0.999 <= value <= self.high * 1.001]
        return within if len(steps) > 1 else within[:: math.ceil(len(within) / about)]


def log_extent(values: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest of positive values with a margin, at least a factor of six apart."""
    numbers = list(values)
    room = max(1.25, math.sqrt(6 * min(numbers) / max(numbers)))
    return min(numbers) / room, max(numbers) * room


def extent(
    values: Iterable[float | None], margin: float = 0.05, bounds: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Lowest and highest of the finite values, with a margin that does not go beyond `bounds`; never empty."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    room = (high - low) * margin or max(abs(high) * margin, 1e-3)
    if bounds is None or not bounds[0] <= low <= high <= bounds[1]:
        return low - room, high + room
    return max(low - room, bounds[0]), min(high + room, bounds[1])


def round_numbers(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`."""
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def decimals(ticks: Sequence[float]) -> int:
    """How many decimals the ticks need to differ."""
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    return max(0, -math.floor(math.log10(step) + 1e-9))


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places moved as little as needed, so that neighbours are `gap` apart and all lie from `low` to `high`."""
    order = sorted(range(len(places)), key=places.__getitem__)
    gap = min(gap, (high - low) / max(len(places) - 1, 1))
    positions = list(places)
    least = low
    for i in order:
        positions[i] = max(places[i], least)
        least = positions[i] + gap
    most = high
    for i in reversed(order):
        positions[i] = min(positions[i], most)
        most = positions[i] - gap
    return positions


def side_by_side(places: Sequence[float], gap: float) -> list[float]:
    """Places that coincide spread around where they are, `gap` apart; all others as they are."""
    groups: dict[int, list[int]] = {}
    for i, place in enumerate(places):
        groups.setdefault(round(place), []).append(i)
    positions = list(places)
    for members in groups.values():
        for n, i in enumerate(members):
            positions[i] += (n - (len(members) - 1) / 2) * gap
    return positions
