"""The plan of a cascade, made before anything is spent."""

from __future__ import annotations

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.tolerance import fewest_draws, tolerated_errors
from efficient_empathy.labelling.cascade.guarantee import Flags, Goal
from efficient_empathy.labelling.cascade.record import Plan
from efficient_empathy.labelling.subsets import Probabilities

SIZES = 60
"""Calibration samples of so many sizes are weighed against each other."""
WORTH = 0.01
"""A share of calls that is worth the trouble of saving."""


def plan_cascade(
    probabilities: Probabilities,
    goal: Goal,
    risk: float,
    *,
    calibration: int | None = None,
    check: int = 0,
    bought: Flags | None = None,
) -> Plan:
    """The plan that is expected to judge least; `calibration` fixes the size of the draw, `bought` are judged already.

    `probabilities` of each subset, shape (samples, subsets). Expected is what the judge's own probabilities say: where
    it is less right than it believes, more will have to be judged. Raises `UserError` where the goal cannot be reached
    by judging less than everything.
    """
    rest = np.ones(len(probabilities), np.bool_) if bought is None else ~bought
    n = int(rest.sum())
    uncertainty = np.sort(goal.uncertainty(probabilities)[rest])
    errors = np.cumsum(uncertainty, dtype=np.float64)
    allowance = goal.allowance(probabilities)
    sizes = [calibration] if calibration is not None else _sizes(n)
    plans = [_plan(errors, allowance, risk, len(rest), min(size, n), check) for size in sizes]
    best = max(plans, key=lambda plan: (plan.saved, -plan.calibration))
    if best.tolerated < 0:
        fewest = fewest_draws(n, best.allowed, risk)
        if fewest >= n:
            remedy = "nothing less than judging all of them proves it: use --judge openai, or accept more errors"
        elif calibration is None:
            remedy = f"{fewest:,} would have to be drawn and judged at least: judge all, or accept more errors"
        else:
            remedy = (
                f"a calibration sample of {calibration:,} proves nothing even without a single error, {fewest:,} might"
            )
        raise UserError(f"{goal.text()} cannot be guaranteed for {n:,} samples: {remedy}")
    if best.saved < WORTH:
        raise UserError(
            f"{goal.text()} would save next to nothing on {n:,} samples: the distilled judge is not sure enough. "
            "Judge all (--judge openai), accept more errors, or distil a better judge"
        )
    return best


def _sizes(n: int) -> list[int]:
    return sorted({int(size) for size in np.geomspace(min(20, n), max(1, 0.9 * n), SIZES)})


def _plan(errors: np.ndarray, allowance: int, risk: float, samples: int, draws: int, check: int) -> Plan:
    """`errors` are those expected at each cut of the samples that are not bought yet."""
    n = len(errors)
    tolerance = tolerated_errors(n, draws, allowance, risk)
    reach = (tolerance + 1) * (n + 1) / (draws + 1) if tolerance >= 0 else 0.0
    answers = int(np.searchsorted(errors, reach))
    share = answers / n
    judgements = samples - round(answers * (1 - draws / n))
    checks = round(min(check, max(0, n - draws)) * share * (1 - draws / n)) if tolerance >= 0 else 0
    return Plan(
        samples=samples, calibration=draws, judgements=judgements, check=checks, allowed=allowance,
        tolerated=tolerance, saved=1 - (judgements + checks) / samples, uncertain=n - answers,
    )  # fmt: skip
