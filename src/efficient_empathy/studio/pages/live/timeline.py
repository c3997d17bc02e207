"""How a sitting of judging went: judgements and dollars by time, in as many steps as a small picture can show."""

from __future__ import annotations

from efficient_empathy.foundation.run.record import Part

STEPS = 60
"""Steps at most; beyond, every two become one."""
PAUSE_S = 600.0
"""A longer pause ends a sitting: what comes after it is shown alone."""


class Pace(Part):
    """Judgements and dollars of each step, the earliest first; a step takes `step_s` seconds."""

    step_s: float
    counts: tuple[int, ...]
    cost_usd: tuple[float, ...]


class Timeline:
    """Counts judgements as they come, at a cost that does not grow with their number."""

    def __init__(self) -> None:
        self._start = self._last = 0.0
        self._step_s = 1.0
        self._counts: list[int] = []
        self._costs: list[float] = []

    def add(self, at: float, cost_usd: float) -> None:
        """Count one judgement, made at `at` (Unix seconds); one from before the sitting counts for its first step."""
        if not self._counts or at - self._last > PAUSE_S:
            self._start, self._last, self._step_s, self._counts, self._costs = at, at, 1.0, [], []
        self._last = max(self._last, at)
        while (step := max(0, int((at - self._start) / self._step_s))) >= STEPS:
            self._halve()
        missing = step + 1 - len(self._counts)
        self._counts += [0] * missing
        self._costs += [0.0] * missing
        self._counts[step] += 1
        self._costs[step] += cost_usd

    def pace(self) -> Pace:
        """What was counted of the last sitting."""
        costs = tuple(round(cost, 6) for cost in self._costs)
        return Pace(step_s=self._step_s, counts=tuple(self._counts), cost_usd=costs)

    def _halve(self) -> None:
        self._step_s *= 2
        self._counts = [sum(self._counts[i : i + 2]) for i in range(0, len(self._counts), 2)]
        self._costs = [sum(self._costs[i : i + 2]) for i in range(0, len(self._costs), 2)]
