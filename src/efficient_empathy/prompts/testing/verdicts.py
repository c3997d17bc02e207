"""Regression verdicts: whether a judge has moved, by more than is tolerated, or cannot be told to have.

A check is *real* if chance alone would raise so large a figure less often than `false_alarms`, for all checks together
(Holm). A real one is a `regression`, unless its interval lies within the tolerance: then it is `soft`. One that is not
real is a `pass`, unless the set is too small for a change of the tolerated size to be found: then it is `insufficient`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from efficient_empathy.foundation.statistics.correction import holm
from efficient_empathy.foundation.statistics.finite import finite, six_decimals
from efficient_empathy.prompts.settings import Tolerances
from efficient_empathy.prompts.testing.checks import UNSEEN, Check
from efficient_empathy.prompts.testing.records import CheckRecord, Verdict

EXIT: dict[Verdict, int] = {"pass": 0, "soft": 3, "regression": 4, "insufficient": 5, "incomparable": 6}
"""Exit statuses. The first of `ORDER` that any check, or any judge of several, comes to is that of all."""
ORDER: tuple[Verdict, ...] = ("regression", "incomparable", "insufficient", "soft", "pass")


@dataclass(frozen=True)
class Decision:
    """A verdict, and the checks that it follows from."""

    verdict: Verdict
    checks: tuple[CheckRecord, ...] = ()
    items_needed: int | None = None
    """How many items it would take for a verdict; None where more would not help."""


def decide(checks: Sequence[Check], tolerances: Tolerances) -> Decision:
    """The verdict on each check, and on all.

    `resolution` is how large a figure has to be to be found real; `items_needed`, of an insufficient check, is how many
    items it would take for that to come down to the tolerance, None where more items would not help.
    """
    p_values = [check.p_value() for check in checks]
    adjusted = holm(p_values)
    level = tolerances.false_alarms / max(1, len(checks))
    decided = tuple(
        _decided(check, p, corrected, level, tolerances)
        for check, p, corrected in zip(checks, p_values, adjusted, strict=True)
    )
    needed = [one.items_needed for one in decided if one.verdict == "insufficient"]
    known = [items for items in needed if items is not None]
    return Decision(
        worst([one.verdict for one in decided]), decided, max(known) if known and len(known) == len(needed) else None
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that stands for all; without any `insufficient`."""
    return next((one for one in ORDER if one in verdicts), "insufficient")


def _decided(check: Check, p: float, corrected: float, level: float, tolerances: Tolerances) -> CheckRecord:
    tolerance = float(getattr(tolerances, check.name))
    resolution = max(check.high, check.unseen) if check.note else check.resolution(level)
    furthest = max(abs(check.low), abs(check.high)) if check.two_sided else check.high
    needed = None
    verdict: Verdict
    if corrected <= tolerances.false_alarms:
        verdict = "soft" if furthest <= tolerance else "regression"
    elif resolution <= tolerance:
        verdict = "pass"
    else:
        verdict = "insufficient"
        needed = None if check.note else _needed(check, resolution, tolerance)
    numbers = {
        "value": check.value, "low": check.low, "high": check.high, "p": p, "p_holm": corrected,
        "resolution": resolution,
    }  # fmt: skip
    return CheckRecord.model_validate(
        {
            "name": check.name,
            "axis": check.axis,
            **finite(numbers, six_decimals),
            "tolerance": tolerance,
            "items": check.items,
            "verdict": verdict,
            "items_needed": needed,
            "note": check.note,
        }
    )


def _needed(check: Check, resolution: float, tolerance: float) -> int | None:
    """How many items: a resolution falls with their square root, what none of them shows by the rule of three."""
    if not 0 < tolerance < math.inf or not math.isfinite(resolution):
        return None
    by_size = check.items * (resolution / tolerance) ** 2 if resolution > check.unseen else 0.0
    by_none = math.log(UNSEEN) / math.log(1 - tolerance) if tolerance < 1 else 0.0
    return math.ceil(max(by_size, by_none, check.items + 1) / 10) * 10
