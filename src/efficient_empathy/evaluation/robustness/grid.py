"""The cells that are compared: policies on a grid, each with thresholds of both axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.grid import HIGHEST, LOWEST
from efficient_empathy.selection.rules import RULES

DEFAULT = 5.0
"""The paper's α and β."""
MOST_CELLS = 10_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy with its thresholds."""

    policy: str
    alpha: float = DEFAULT
    beta: float = DEFAULT

    def record(self) -> dict[str, Any]:
        """As it stands in JSON files."""
        return {"policy": self.policy, "alpha": self.alpha, "beta": self.beta}

    def __str__(self) -> str:
        return f"{self.policy} α {self.alpha:g} β {self.beta:g}"


def thresholds(given: Any) -> tuple[float, ...]:
    """Thresholds from `3:7` (both ends, in steps of 1), `3:7:0.5`, `3,5,7`, a number, or a sequence of numbers.

    In rising order, each once. Raises `UserError` for what is none of these, is empty, or leaves the scale.
    """
    found = _numbers(given)
    if not found:
        raise UserError(f"{given!r} has no threshold in it: write a range such as 3:7, or numbers such as 3,5,7")
    for value in found:
        if not LOWEST <= value <= HIGHEST:
            hint = ", and a range in YAML in quotes" if isinstance(given, int) else ""
            raise UserError(
                f"the threshold {value:g} is not on the scale: thresholds go from {LOWEST} to {HIGHEST}{hint}"
            )
    return tuple(sorted(set(found)))


def _numbers(given: Any) -> list[float]:
    wrong = UserError(f"{given!r} is no range of thresholds: write 3:7, 3:7:0.5, or 3,5,7")
    try:
        if isinstance(given, str) and ":" in given:
            first, last, step = map(float, given.split(":") if given.count(":") > 1 else f"{given}:1".split(":"))
            steps = (last - first) / step
            if not math.isfinite(steps) or step <= 0 or steps > MOST_CELLS:
                raise wrong
            return [round(first + step * k, 9) for k in range(int(steps + 1e-9) + 1)] if steps >= 0 else []
        if isinstance(given, str):
            return [float(part) for part in given.split(",") if part.strip()]
        return [float(value) for value in (given if isinstance(given, Iterable) else [given])]
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        raise wrong from None


def _checked(given: Any) -> tuple[float, ...]:
    """`thresholds`, with errors as pydantic wants them."""
    try:
        return thresholds(given)
    except UserError as error:
        raise ValueError(str(error)) from error


Thresholds = Annotated[tuple[float, ...], BeforeValidator(_checked)]
"""A field of settings that `thresholds` reads."""


def grid(policies: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Cell]:
    """Every policy with every pair of thresholds. Raises `UserError` for a policy that is no rule on the grid."""
    for policy in policies:
        if policy not in RULES:
            raise UserError(f"the policy {policy!r} has no thresholds to move: choose of {', '.join(RULES)}")
    if not policies:
        raise UserError(f"name a policy: {', '.join(RULES)}")
    cells = [Cell(p, a, b) for p in dict.fromkeys(policies) for a in alphas for b in betas]
    if len(cells) > MOST_CELLS:
        raise UserError(f"the grid has {len(cells):,} cells, more than {MOST_CELLS:,}: take fewer thresholds")
    return cells
