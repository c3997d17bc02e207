"""What figures of agreement mean, in a sentence: whether two judges agree at all beyond chance, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from efficient_empathy.foundation.figures.formatting import fixed, share, signed

LEVELS = ((0.8, "nearly always agree"), (0.6, "agree well"), (0.4, "agree fairly"), (0.2, "agree weakly"))
"""Weighted kappa from which on two judges agree so, after Landis & Koch (1977)."""


def verdict(axis: str, a: str, b: str, figures: Mapping[str, Any]) -> str:
    """How far two runs agree on one axis, from what `agreement` says of it."""
    return f"On {axis}, {a} and {b} {_beyond_chance(figures['kappa_quadratic'])}: {_distance(b, figures)}."


def by_chance(kappa: Mapping[str, float | None]) -> bool:
    """Whether an agreement is no more than what two judges have who do not look at the samples."""
    value, low = kappa["value"], kappa["low"]
    return value is not None and (low if low is not None else value) <= 0


def _beyond_chance(kappa: Mapping[str, float | None]) -> str:
    value = kappa["value"]
    if value is None:
        return "cannot be told from chance, since their scores do not vary"
    if by_chance(kappa):
        return f"agree no more than chance would make them (κ {fixed(value, 2)})"
    level = next((words for least, words in LEVELS if value >= least), "agree hardly more than by chance")
    return f"{level} (κ {fixed(value, 2)}, where 0 is chance and 1 is always)"


def _distance(b: str, figures: Mapping[str, Any]) -> str:
    shift, exact, near = (figures[name]["value"] for name in ("mean_shift", "exact", "within_one"))
    parts = [f"the same score for {share(exact, 1)} of the samples"] if figures["whole"] else []
    parts.append(f"scores within one point for {share(near, 1)}")
    where = "as high" if round(shift, 2) == 0 else f"{signed(abs(shift), 2)[1:]} {'higher' if shift > 0 else 'lower'}"
    return f"{', '.join(parts)}, and {b} is {where} on average"
