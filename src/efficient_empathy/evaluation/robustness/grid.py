"""The cells that are compared: policies, each with values for its named thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Generic, TypeVar

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies import Policy, Scales, display_symbol, load_policy

MOST_CELLS = 10_000
SHORT = ("alpha", "beta")
"""Thresholds of these names have options of their own."""
MOST_PAIRS = 3
"""Maps of one quantity and policy."""
TABLE_COLUMNS = ("policy", "subset", "count", "share")
"""The sweep's table has these columns beside the thresholds', so no threshold may have such a name."""
Thresholds = Mapping[str, float]
Ranges = Mapping[str, tuple[float, ...]]
"""By threshold the values that it takes."""
Limits = tuple[int, int] | None
Item = TypeVar("Item")
Spread = Callable[[float, Limits], tuple[float, ...]]
"""From a threshold's own value and the limits of its scale to the values that it takes where none are named."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy at given values of its thresholds, in the policy's order."""

    policy: str
    values: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, policy: str, thresholds: Thresholds) -> Cell:
        """The cell of these thresholds."""
        return cls(policy, tuple((name, float(value)) for name, value in thresholds.items()))

    @property
    def thresholds(self) -> dict[str, float]:
        """By name."""
        return dict(self.values)

    def __str__(self) -> str:
        return " ".join([self.policy, *(f"{display_symbol(name)} {value:g}" for name, value in self.values)])


def thresholds_text(thresholds: Thresholds) -> str:
    """For example "α = 5, β = 5"."""
    return ", ".join(f"{display_symbol(name)} = {value:g}" for name, value in thresholds.items())


def threshold_values(value: Any) -> tuple[float, ...]:
    """Values from `3:7` (both ends, in steps of 1), `3:7:0.5`, `3,5,7`, a number, or a sequence of numbers.

    In rising order, each once. Raises `UserError` for what is none of these or has no value in it.
    """
    numbers = _numbers(value)
    if not numbers:
        raise UserError(f"{value!r} has no threshold in it: write a range such as 3:7, or numbers such as 3,5,7")
    if not all(map(math.isfinite, numbers)):
        raise _no_range(value)
    return tuple(sorted(set(numbers)))


def _numbers(value: Any) -> list[float]:
    try:
        if isinstance(value, str) and ":" in value:
            first, last, step = map(float, value.split(":") if value.count(":") > 1 else f"{value}:1".split(":"))
            steps = (last - first) / step
            if not math.isfinite(steps) or step <= 0 or steps > MOST_CELLS:
                raise _no_range(value)
            return [round(first + step * k, 9) for k in range(int(steps + 1e-9) + 1)] if steps >= 0 else []
        if isinstance(value, str):
            return [float(part) for part in value.split(",") if part.strip()]
        return [float(number) for number in (value if isinstance(value, Iterable) else [value])]
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        raise _no_range(value) from None


def _no_range(value: Any) -> UserError:
    return UserError(f"{value!r} is no range of thresholds: write 3:7, 3:7:0.5, or 3,5,7")


def load_policies(references: Sequence[str]) -> dict[str, Policy]:
    """Policies by their own names, each named or in a YAML file. Raises `UserError` for one without thresholds."""
    policies: dict[str, Policy] = {}
    for reference in dict.fromkeys(references):
        try:
            policy = load_policy(reference)
        except UserError as error:
            if reference != "top":
                raise
            raise _no_thresholds(reference) from error
        if not policy.thresholds:
            raise _no_thresholds(policy.name)
        if policy.name in policies:
            raise UserError(f"two of the policies are called {policy.name}: give one of them another name")
        if clashes := [name for name in policy.thresholds if name in TABLE_COLUMNS]:
            raise UserError(f"the policy {policy.name} has a threshold called {clashes[0]}: call it something else")
        policies[policy.name] = policy
    if not policies:
        raise UserError("name a policy, such as paper, or its YAML file")
    return policies


def _no_thresholds(policy: str) -> UserError:
    return UserError(f"the policy {policy!r} has no thresholds to move: take a policy of rules with named thresholds")


def ranges_of(policies: Mapping[str, Policy], explicit: Ranges, scales: Scales, spread: Spread) -> dict[str, Ranges]:
    """By policy the values of each of its thresholds: as `named`, else by `spread`.

    Raises `UserError` for a threshold that no policy has, and for a value off its scale.
    """
    for name in explicit:
        if all(name not in policy.thresholds for policy in policies.values()):
            next(iter(policies.values())).with_thresholds(**{name: 0})  # raises, and names what there is
    return {policy.name: _ranges(policy, explicit, scales, spread) for policy in policies.values()}


def _ranges(policy: Policy, explicit: Ranges, scales: Scales, spread: Spread) -> Ranges:
    policy.require_axes(scales)
    ranges = {}
    for name, own in policy.thresholds.items():
        limits = policy.threshold_range(name, scales)
        for value in explicit.get(name, ()):
            try:
                policy.require_threshold(name, value, scales)
            except UserError as error:
                raise UserError(f"{error}; a range in YAML stands in quotes") from error
        ranges[name] = explicit[name] if name in explicit else spread(own, limits)
    return ranges


def cells_of(ranges: Mapping[str, Ranges]) -> list[Cell]:
    """Every policy with every combination of its thresholds, the last one moving fastest."""
    count = sum(math.prod(map(len, own.values())) for own in ranges.values())
    if count > MOST_CELLS:
        raise UserError(
            f"the grid has {count:,} cells, more than {MOST_CELLS:,}: give fewer values, for example --grid "
            f"{next(iter(next(iter(ranges.values()))))}=5"
        )
    return [
        Cell.of(policy, dict(zip(own, values, strict=True)))
        for policy, own in ranges.items()
        for values in product(*own.values())
    ]


def around(own: float, limits: Limits) -> tuple[float, ...]:
    """Up to two steps below and above the policy's own value."""
    return _within([own + k * _step(limits) for k in range(-2, 3)], own, limits)


def coarse(own: float, limits: Limits) -> tuple[float, ...]:
    """The policy's own value, and two steps below and above."""
    return _within([own + k * _step(limits) for k in (-2, 0, 2)], own, limits)


def wide(own: float, limits: Limits) -> tuple[float, ...]:
    """The inside of the scale; all of a scale that is short."""
    if limits is None:
        return around(own, limits)
    low, high, step = limits[0] + 1, limits[1] - 1, _step(limits)
    inside = range(low + step, high, step) if high - low > 3 else range(low, high + 1)
    return tuple(map(float, inside))


def whole_scale(own: float, limits: Limits) -> tuple[float, ...]:
    """Every step of the scale, both ends included."""
    if limits is None:
        return around(own, limits)
    return tuple(map(float, range(limits[0] + 1, limits[1], _step(limits))))


def _step(limits: Limits) -> int:
    """A tenth of the scale, at least 1."""
    return max(1, round((limits[1] - limits[0] - 2) / 10)) if limits else 1


def _within(values: Iterable[float], own: float, limits: Limits) -> tuple[float, ...]:
    return tuple(float(v) for v in values if limits is None or limits[0] <= v <= limits[1]) or (float(own),)


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """The cells of one policy in which one threshold moves, or two, while the others stand still."""

    y: str
    """The threshold of the rows; empty where there is only one."""
    x: str
    """The threshold of the columns."""
    fixed: Thresholds
    """The values of the others."""
    cells: Mapping[tuple[float, float], Item]
    """By the values of `y` (0 where there is only one threshold) and `x`."""

    @property
    def rows(self) -> list[float]:
        """The values of `y`, rising."""
        return sorted({y for y, _ in self.cells})

    @property
    def columns(self) -> list[float]:
        """The values of `x`, rising."""
        return sorted({x for _, x in self.cells})

    def place(self, thresholds: Thresholds) -> tuple[float, float]:
        """Where a cell is drawn."""
        return (thresholds[self.y] if self.y else 0.0), thresholds[self.x]


def slices(cells: Sequence[tuple[Thresholds, Item]], own: Thresholds) -> list[Slice[Item]]:
    """What is drawn of a policy's cells: a line for one threshold, a map for two; for more, maps of pairs that move.

    The others stand at the policy's `own` values, or the nearest that there are; `MOST_PAIRS` are drawn at most.
    """
    values = {name: sorted({thresholds[name] for thresholds, _ in cells}) for name in own}
    moving = [name for name in own if len(values[name]) > 1]
    still = [name for name in own if name not in moving]
    names = moving if len(moving) > 1 else sorted([*moving, *still][:2], key=list(own).index)
    pairs = list(combinations(names, 2))[:MOST_PAIRS] if len(names) > 1 else [("", name) for name in names]
    parts = []
    for y, x in pairs:
        fixed = {name: _nearest(values[name], own[name]) for name in own if name not in (y, x)}
        there = [(t, item) for t, item in cells if all(t[name] == value for name, value in fixed.items())]
        parts.append(Slice(y, x, fixed, {((t[y] if y else 0.0), t[x]): item for t, item in there}))
    return parts


def _nearest(values: Iterable[float], own: float) -> float:
    return min(values, key=lambda value: abs(value - own))
