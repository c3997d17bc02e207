"""Figures as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


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
