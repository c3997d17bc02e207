"""What a cascade would cost, before anything is spent: by what the distilled judge believes of itself."""

from __future__ import annotations

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.tolerance import fewest_draws, tolerated_errors
from efficient_empathy.labelling.cascade.guarantee import Goal, Known
from efficient_empathy.labelling.cascade.record import Plan
from efficient_empathy.labelling.subsets import Probabilities

SIZES = 60
"""Calibration samples of so many sizes are weighed against each other."""
WORTH = 0.01
"""A share of calls that is worth the trouble of saving."""


def plan_cascade(
    probabilities: Probabilities, goal: Goal, risk: float, *, calibration: int | None = None, check: int = 0
) -> Plan:
    """The plan that is expected to judge least; `calibration` fixes the size of the draw.

    `probabilities` of each subset, shape (samples, subsets). Expected is what the judge's own probabilities say: where
    it is less right than it believes, more will have to be judged. Raises `UserError` where the goal cannot be reached
    by judging less than everything.
    """
    n = len(probabilities)
    uncertainty = np.sort(goal.uncertainty(probabilities))
    expected = np.cumsum(uncertainty, dtype=np.float64)
    members = float(probabilities[:, getattr(goal, "subset", 0)].sum()) / n
    sizes = [calibration] if calibration is not None else _sizes(n)
    plans = [_plan(expected, goal, risk, n, min(size, n), members, check) for size in sizes]
    best = max(plans, key=lambda plan: (plan.saved, -plan.calibration))
    if best.tolerated < 0:
        fewest = fewest_draws(n, best.allowed, risk)
        if fewest >= n:
            rest = "nothing less than judging all of them proves it: use --judge openai, or accept more errors"
        elif calibration is None:
            rest = f"{fewest:,} would have to be drawn and judged at least: judge all, or accept more errors"
        else:
            rest = (
                f"a calibration sample of {calibration:,} proves nothing even without a single error, {fewest:,} might"
            )
        raise UserError(f"{goal.text()} cannot be guaranteed for {n:,} samples: {rest}")
    if best.saved < WORTH:
        raise UserError(
            f"{goal.text()} would save next to nothing on {n:,} samples: the distilled judge is not sure enough. "
            "Judge all (--judge openai), accept more errors, or distil a better judge"
        )
    return best


def _sizes(n: int) -> list[int]:
    return sorted({int(size) for size in np.geomspace(min(20, n), max(1, 0.9 * n), SIZES)})


def _plan(expected: np.ndarray, goal: Goal, risk: float, n: int, drawn: int, members: float, check: int) -> Plan:
    allowed, left = goal.allowed(Known(n, n, drawn, int(members * drawn), 0), risk)
    tolerated = tolerated_errors(n, drawn, allowed, left)
    reached = (tolerated + 1) * (n + 1) / (drawn + 1) if tolerated >= 0 else 0.0
    answered = int(np.searchsorted(expected, reached))
    share = answered / n
    judged = n - round(answered * (1 - drawn / n))
    checked = round(min(check, max(0, n - drawn)) * share * (1 - drawn / n)) if tolerated >= 0 else 0
    return Plan(
        samples=n, calibration=drawn, judged=judged, check=checked, allowed=allowed, tolerated=tolerated,
        saved=1 - (judged + checked) / n,
    )  # fmt: skip
