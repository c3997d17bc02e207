"""Whether a training ended too early or too late, by its held-out losses."""

from __future__ import annotations

from itertools import pairwise

from efficient_empathy.modelling.training.record import ALL, FitRecord

STEADY = 0.8
"""The second half of the steps has its share of the learning rates (a quarter, of a rate that falls to 0). A loss that
falls in it by more than this much of the same share of its whole fall has not levelled off."""
RISEN = 0.05
"""The share of what was gained at best that must be lost again to be told."""
LEAST = 0.01
"""Nats of gain below which nothing is said."""


def advice(fit: FitRecord) -> str:
    """A sentence where more or less training would have done better on what was held out; else empty."""
    losses = {line.step: loss for line in fit.held_out if (loss := line.loss.get(ALL)) is not None}
    steps = sorted(losses)
    if len(steps) < 3 or steps[0] != 0:
        return ""
    lowest = min(steps, key=lambda step: losses[step])
    last = steps[-1]
    gained = losses[0] - losses[lowest]
    if losses[last] - losses[lowest] > max(RISEN * gained, LEAST):
        return (
            f"The held-out loss was lowest at step {lowest:,} of {last:,} ({losses[lowest]:.3f} nats) and has risen to "
            f"{losses[last]:.3f} since: train for fewer --epochs, or at a lower --learning-rate."
        )
    half = min(steps, key=lambda step: abs(step - last / 2))
    gain, late = losses[0] - losses[last], losses[half] - losses[last]
    share = _rate_between(fit, half, last) / max(1e-30, _rate_between(fit, 0, last))
    if gain > LEAST and 0 < share < 1 and late >= STEADY * share * gain:
        return (
            f"The held-out loss was still falling when the training ended, after {last:,} steps: more --epochs or a "
            "higher --learning-rate is likely to bring more (--try-learning-rates tries several)."
        )
    return ""


def _rate_between(fit: FitRecord, first: int, last: int) -> float:
    """The learning rates of the steps in between, summed up along the logged ones."""
    logged = [(0, 0.0), *((line.step, line.learning_rate or 0.0) for line in fit.history)]
    return sum(rate * max(0, min(step, last) - max(before, first)) for (before, _), (step, rate) in pairwise(logged))
