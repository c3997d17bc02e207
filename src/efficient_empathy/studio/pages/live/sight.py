"""One look at a run: its sign of life, and what its ledger holds by now."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import polars as pl

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.record import SCORE, ScoreRecord
from efficient_empathy.studio.pages.live.control import Control
from efficient_empathy.studio.pages.live.pulse import Pulse, take
from efficient_empathy.studio.pages.live.tally import Tally

RATE_OVER_S = 15.0


@dataclass(frozen=True)
class Sight:
    """What was seen. `cells` are `{(right, up): count}`, `recent` the last judgements, oldest first."""

    spec: JudgeSpec | None
    frame: dict[str, Any]
    cells: dict[tuple[int, int], int]
    recent: list[dict[str, Any]]
    behind: bool
    """Whether the ledger holds more than has been read yet."""


class Looking:
    """Looks at one run, one look at a time, in any thread. The ledger is opened read-only for each."""

    def __init__(self, workspace: Workspace, control: Control) -> None:
        self._workspace, self._control = workspace, control
        self._tally = Tally(None)
        self._file = 0
        self._seen: deque[tuple[float, int]] = deque(maxlen=64)
        self._behind = False

    def look(self) -> Sight:
        """What there is to see now. Raises `UserError` where the manifest or the ledger cannot be read."""
        pulse = take(self._workspace)
        self._control.see(pulse)
        record = self._workspace.stage("score")
        scored = None if pulse.told else self._workspace.stage(SCORE, ScoreRecord)
        spent = self._read(pulse.told.spec if pulse.told else scored.panel.specs[0] if scored else None)
        return self._sight(pulse, record, spent)

    def nothing(self) -> Sight:
        """What is shown of a run that cannot be read."""
        return self._sight(Pulse(condition="none"), {}, 0.0)

    def _sight(self, pulse: Pulse, record: dict[str, Any], spent: float) -> Sight:
        tally = self._tally
        frame = {
            "condition": pulse.condition,
            "control": self._control.told(pulse),
            "process": _of_process(pulse, self._rate(pulse)),
            "samples": _samples(self._workspace, record),
            "judge": pulse.told.judge if pulse.told else record.get("judge"),
            "ok": tally.ok,
            "failed": tally.failed(),
            "reasons": tally.reasons(),
            "axes": tally.axes,
            "cost_usd": spent,
            "requests": tally.requests,
            "tokens": tally.tokens,
            "latency_s": tally.latency_s(),
            "reading": self._behind,
        }
        return Sight(tally.spec, frame, dict(tally.cells), list(tally.recent), self._behind)

    def _read(self, spec: JudgeSpec | None) -> float:
        """Count what is new; what all calls have cost."""
        if not self._workspace.ledger.exists():
            self._tally, self._behind = Tally(spec), False
            return 0.0
        with Ledger(self._workspace.ledger, read_only=True) as ledger:
            spec = spec or next(reversed(ledger.specs()), None)
            file = self._workspace.ledger.stat().st_ino
            if (spec, file) != (self._tally.spec, self._file):
                self._tally, self._file = Tally(spec), file
                self._seen.clear()
            self._behind = self._tally.read(ledger)
            return ledger.spent_usd()

    def _rate(self, pulse: Pulse) -> float | None:
        """Samples a second over the last quarter of a minute; None while nobody works."""
        if pulse.told is None or not pulse.working:
            self._seen.clear()
            return None
        counts = pulse.told.counts
        now, done = pulse.told.written_at, counts.done
        if not self._seen or done < self._seen[-1][1]:
            self._seen.clear()
            self._seen.append((pulse.told.started_at, counts.done_at_start))
        if now > self._seen[-1][0]:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > RATE_OVER_S:
            self._seen.popleft()
        (began, before), (at, after) = self._seen[0], self._seen[-1]
        return (after - before) / (at - began) if at - began > 0.2 else None


def _of_process(pulse: Pulse, rate: float | None) -> dict[str, Any] | None:
    """What the process tells, with its rate and the seconds that are left at that rate."""
    told = pulse.told
    if told is None:
        return None
    left = max(0, told.counts.total - told.counts.done)
    kept = told.model_dump(exclude={"version", "command", "folder", "spec", "stopped_by", "judge", "counts"})
    kept |= told.counts.model_dump()
    return {**kept, "rate": rate, "left_s": left / rate if rate else None}


def _samples(workspace: Workspace, record: dict[str, Any]) -> int | None:
    """How many different samples the run has; None before there are any."""
    if isinstance(record.get("samples"), int):
        return int(record["samples"]) - int(record.get("duplicates") or 0)
    try:
        return int(pl.scan_parquet(workspace.samples, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError):
        return None
