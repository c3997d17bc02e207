"""Losses over the steps of a training, thinned and smoothed for a small figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from efficient_empathy.modelling.training.record import HeldOutLoss, LoggedStep
from efficient_empathy.report.decision import by_subset

POINTS = 240
"""More logged steps than this are drawn by the lowest and highest of each bucket."""
SMOOTHED_FROM = 12
"""Fewer logged steps than this are shown as they are."""
WIDEST = 25

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One training: its logged losses by step, their moving mean over `window` of them, held-out losses by subset."""

    steps: list[Point]
    smooth: list[Point]
    window: int
    held_out: dict[str, list[Point]]

    @property
    def losses(self) -> list[float]:
        """Every loss that is drawn."""
        return [loss for line in (self.steps, *self.held_out.values()) for _, loss in line]

    @property
    def last(self) -> float:
        """The last step that is drawn."""
        return max((step for line in (self.steps, *self.held_out.values()) for step, _ in line), default=1.0) or 1.0


def curve(history: Sequence[LoggedStep], held_out: Sequence[HeldOutLoss], subsets: Sequence[str] = ()) -> Curve:
    """A training's curve, held-out losses in the order of `subsets`; losses that are missing are left out."""
    steps = sorted((float(s.step), s.loss) for s in history if s.loss is not None and math.isfinite(s.loss))
    window = _window(len(steps))
    lines: dict[str, list[Point]] = {}
    for evaluation in sorted(held_out, key=lambda e: e.step):
        for subset, loss in evaluation.loss.items():
            if loss is not None and math.isfinite(loss):
                lines.setdefault(subset, []).append((float(evaluation.step), loss))
    smooth = moving_mean(steps, window) if window > 1 else []
    return Curve(envelope(steps), _every(smooth), window, {name: lines[name] for name in by_subset(lines, subsets)})


def moving_mean(points: Sequence[Point], window: int) -> list[Point]:
    """The mean of the `window` points around each one; near the ends of those that there are."""
    sums = [0.0]
    for _, loss in points:
        sums.append(sums[-1] + loss)
    means = []
    for i, (step, _) in enumerate(points):
        start, end = max(0, i - window // 2), min(len(points), i + window // 2 + 1)
        means.append((step, (sums[end] - sums[start]) / (end - start)))
    return means


def envelope(points: Sequence[Point]) -> list[Point]:
    """The points, or the lowest and highest of each of equal buckets: at this size the same picture, no peak lost."""
    if len(points) <= POINTS:
        return list(points)
    edges = [i * len(points) // (POINTS // 2) for i in range(POINTS // 2 + 1)]
    extremes: list[Point] = []
    for start, end in pairwise(edges):
        bucket = points[start:end]
        ends = {min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])}
        extremes += sorted(ends)
    return extremes


def _window(points: int) -> int:
    """An odd number of points, about a fifteenth of all."""
    return min(WIDEST, 2 * (points // 30) + 3) if points >= SMOOTHED_FROM else 1


def _every(points: Sequence[Point]) -> list[Point]:
    """A smooth line's points, thinned evenly, with its last."""
    every = -(-len(points) // POINTS) if points else 1
    return [p for i, p in enumerate(points) if i % every == 0 or i == len(points) - 1]
