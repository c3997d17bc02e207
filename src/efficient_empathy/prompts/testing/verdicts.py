"""Regression verdicts: whether a judge has moved, by more than is tolerated, or cannot be told to have.

A check is *real* if chance alone would raise so large a figure less often than `false_alarms`, for all checks together
(Holm). A real one is a `regression`, unless its interval lies within the tolerance: then it is `soft`. One that is not
real is a `pass`, unless the set is too small for a change of the tolerated size to be found: then it is `insufficient`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from efficient_empathy.foundation.statistics.correction import holm
from efficient_empathy.prompts.testing.checks import UNSEEN, Check

EXIT = {"pass": 0, "soft": 3, "regression": 4, "insufficient": 5, "incomparable": 6}
"""Exit statuses. The first of `ORDER` that any check, or any judge of several, comes to is that of all."""
ORDER = ("regression", "incomparable", "insufficient", "soft", "pass")


@dataclass(frozen=True)
class Tolerances:
    """What is put up with, and how sure an alarm has to be."""

    shift: float = 0.3
    """Of an axis's mean, in points of its scale."""
    noise: float = 0.3
    """Rise of the standard deviation within an item, in points."""
    subsets: float = 0.1
    """Share of samples that change subset, beyond what noise accounts for."""
    failures: float = 0.05
    """Rise of the share of judgements that fail."""
    false_alarms: float = 0.001
    """How often an unchanged judge may be found to have changed, all checks together."""
    confidence: float = 0.95
    """Of the intervals."""


def decide(checks: Sequence[Check], tolerances: Tolerances) -> dict[str, Any]:
    """`{"verdict", "checks": […], "items_needed"}`; a check as `{name, axis, value, low, high, p, p_holm, resolution,
    tolerance, items, verdict, items_needed, note}`.

    `resolution` is how large a figure has to be to be found real; `items_needed`, of an insufficient check, is how many
    items it would take for that to come down to the tolerance, None where more items would not help.
    """
    p_values = [check.p_value() for check in checks]
    adjusted = holm(p_values)
    level = tolerances.false_alarms / max(1, len(checks))
    found = [
        {**_decided(check, corrected, level, tolerances), "p": p}
        for check, p, corrected in zip(checks, p_values, adjusted, strict=True)
    ]
    lacking = [one for one in found if one["verdict"] == "insufficient"]
    needed = [one["items_needed"] for one in lacking]
    return {
        "verdict": worst([one["verdict"] for one in found]),
        "checks": found,
        "items_needed": max(needed) if needed and None not in needed else None,
        "tolerances": asdict(tolerances),
    }


def worst(verdicts: Sequence[str]) -> str:
    """The verdict that stands for all; without any `insufficient`."""
    return next((one for one in ORDER if one in verdicts), "insufficient")


def incomparable(differences: Sequence[Mapping[str, Any]], tolerances: Tolerances) -> dict[str, Any]:
    """The verdict where there is nothing to compare, with what differs."""
    told = {"checks": [], "items_needed": None, "differences": list(differences), "tolerances": asdict(tolerances)}
    return {"verdict": "incomparable", **told}


def _decided(check: Check, corrected: float, level: float, tolerances: Tolerances) -> dict[str, Any]:
    tolerance = float(getattr(tolerances, check.name))
    resolution = max(check.high, check.unseen) if check.note else check.resolution(level)
    furthest = max(abs(check.low), abs(check.high)) if check.two_sided else check.high
    needed = None
    if corrected <= tolerances.false_alarms:
        verdict = "soft" if furthest <= tolerance else "regression"
    elif resolution <= tolerance:
        verdict = "pass"
    else:
        verdict = "insufficient"
        needed = None if check.note else _needed(check, resolution, tolerance)
    return {
        "name": check.name,
        "axis": check.axis,
        "value": check.value,
        "low": check.low,
        "high": check.high,
        "p_holm": corrected,
        "resolution": resolution,
        "tolerance": tolerance,
        "items": check.items,
        "verdict": verdict,
        "items_needed": needed,
        "note": check.note,
    }


def _needed(check: Check, resolution: float, tolerance: float) -> int | None:
    """How many items: a resolution falls with their square root, what none of them shows by the rule of three."""
    if not 0 < tolerance < math.inf or not math.isfinite(resolution):
        return None
    by_size = check.items * (resolution / tolerance) ** 2 if resolution > check.unseen else 0.0
    by_none = math.log(UNSEEN) / math.log(1 - tolerance) if tolerance < 1 else 0.0
    return math.ceil(max(by_size, by_none, check.items + 1) / 10) * 10
