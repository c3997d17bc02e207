"""What was counted in rows, so that its figures can be computed under any weights of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Weights = Floats
"""Shape (draws, rows): how often each row is counted in each draw."""
Values = Mapping[str, Floats]
"""One value a draw for every figure, shape (draws,)."""


class Measured(Protocol):
    """What was counted in some rows. A class that names it as its base needs `under` alone."""

    @property
    def repeatable(self) -> bool:
        """Whether a row may be counted more than once.

        A count of distinct things does not grow with repeats, so such a figure's interval comes from leaving dialogues
        out (jackknife), never from drawing them again (bootstrap).
        """
        return True

    @property
    def parts(self) -> Sequence[Measured]:
        """Itself alone, or those that it joins: who resamples asks each part whether it is `repeatable`."""
        return (self,)

    def under(self, weights: Weights | None = None) -> Values:
        """The figures under `weights`; without any, every row once, as arrays of shape (1,). nan where undefined."""
        ...


@dataclass(frozen=True)
class Sums:
    """Figures that are a function of sums over rows: BLEU, ROUGE, losses, shares, means."""

    counts: Floats
    """Shape (rows, k)."""
    figures: Callable[[Floats], Values]
    """From sums, shape (draws, k), to the figures."""
    repeatable: bool = True

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`."""
        return self.figures(self.counts.sum(0, keepdims=True) if weights is None else weights @ self.counts)

    @property
    def parts(self) -> Sequence[Measured]:
        """See `Measured`."""
        return (self,)


@dataclass(frozen=True)
class CombinedCounts:
    """Counts of the same rows that are resampled in different ways, as one: BLEU beside Dist-n."""

    parts: Sequence[Measured]

    @property
    def repeatable(self) -> bool:
        """Whether all parts are."""
        return all(part.repeatable for part in self.parts)

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`: the figures of all parts, in their order."""
        return {name: value for part in self.parts for name, value in part.under(weights).items()}


def finite(value: Any, number: Callable[[float], float] = lambda value: value) -> Any:
    """`value` with None for what is no finite number, all the way down, and numpy's numbers as Python's.

    `number` rounds the floats that are kept.
    """
    if isinstance(value, Mapping):
        return {name: finite(inner, number) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner, number) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, float):
        return value
    return number(value) if math.isfinite(value) else None


def six_decimals(value: float) -> float:
    """Rounded for a file that people read."""
    return round(value, 6)
