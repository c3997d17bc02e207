"""What the judgements under one spec come to, kept up to date from the ledger's new rows alone."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from typing import Any

from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger

RECENT = 20
REASONS = 8
LEVELS = 11
_STEP = 20_000
_CLIP = 240
_MOST_REASONS = 200


class Tally:
    """Counts of a spec's judgements: samples by how they stand, the map of their scores, reasons, dollars, the last."""

    def __init__(self, spec: JudgeSpec | None) -> None:
        self.spec = spec
        self.last = 0
        """The number of the last row that was read."""
        self.ok = 0
        self.cells: Counter[tuple[int, int]] = Counter()
        """By (rationality, sensibility), or a rubric's second and first axis, each rounded to a whole number."""
        self.axes: list[str] = []
        self.cost_usd = 0.0
        self.requests = 0
        self.tokens = 0
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self._failed: dict[str, str] = {}
        self._reasons: dict[tuple[str, str], list[float]] = {}
        self._latencies: deque[float] = deque(maxlen=200)

    def read(self, ledger: Ledger) -> bool:
        """Count what is new, up to 20,000 rows of it; whether there is more."""
        rows = ledger.since(self.spec, self.last, _STEP) if self.spec else []
        for number, judgement in rows:
            self._count(number, judgement)
        return len(rows) == _STEP

    def failed(self) -> dict[str, int]:
        """Samples without a good judgement, by the state of the last one."""
        return dict(Counter(self._failed.values()))

    def reasons(self) -> list[dict[str, Any]]:
        """Why judgements failed, repaired ones included: the latest first, `{state, reason, count, at}`."""
        latest = sorted(self._reasons.items(), key=lambda item: -item[1][1])[:REASONS]
        return [{"state": s, "reason": r, "count": int(count), "at": at} for (s, r), (count, at) in latest]

    def latency_s(self) -> float | None:
        """The median of the last 200 judgements that took time."""
        return statistics.median(self._latencies) if self._latencies else None

    def _count(self, number: int, judgement: Judgement) -> None:
        self.last = number
        self.cost_usd += judgement.cost_usd
        self.requests += judgement.requests
        self.tokens += judgement.prompt_tokens + judgement.completion_tokens
        if judgement.latency_s > 0:
            self._latencies.append(judgement.latency_s)
        if judgement.state == "ok":
            self.ok += 1
            self._failed.pop(judgement.sample_id, None)
            self._place(judgement)
        else:
            self._failed[judgement.sample_id] = judgement.state
            self._note(judgement)
        self.recent.append(
            {
                "number": number,
                "sample_id": judgement.sample_id,
                "state": judgement.state,
                "scores": {axis: round(value, 2) for axis, value in judgement.scores.items()},
                "reason": judgement.reason[:_CLIP],
                "raw": judgement.raw[:_CLIP],
                "latency_s": round(judgement.latency_s, 3),
                "at": judgement.created_at,
            }
        )

    def _note(self, judgement: Judgement) -> None:
        count = self._reasons.setdefault((judgement.state, judgement.reason[:_CLIP]), [0, 0.0])
        count[0] += 1
        count[1] = judgement.created_at
        if len(self._reasons) > _MOST_REASONS:
            del self._reasons[min(self._reasons, key=lambda key: self._reasons[key][1])]

    def _place(self, judgement: Judgement) -> None:
        if not self.axes:
            names = list(judgement.scores)
            self.axes = ["sensibility", "rationality"] if {"sensibility", "rationality"} <= set(names) else names[:2]
        if len(self.axes) == 2 and set(self.axes) <= judgement.scores.keys():
            up, right = (int(judgement.scores[axis] + 0.5) for axis in self.axes)
            if 0 <= up < LEVELS and 0 <= right < LEVELS:
                self.cells[right, up] += 1
