"""What a scoring run looks like while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from efficient_empathy.llm import Window
from efficient_empathy.scoring.judgement import STATES, Judgement

LINE_EVERY_S = 10.0


class ScoringProgress:
    """Done of total, rate, time left, running cost, failures by kind, concurrency now. Writes to `console` (stderr)."""

    def __init__(self, console: Console, total: int, done: int, window: Window | None) -> None:
        self.states: Counter[str] = Counter()
        self.cost_usd = 0.0
        self.requests = 0
        self._console, self._total, self._done = console, total, done
        self._window = window
        self._started = self._line_at = time.monotonic()
        self._at_start = done
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[rest]}"),
                console=console, transient=False,
            )  # fmt: skip
            self._task = self._bar.add_task("scoring", total=total, completed=done, rate="", rest="")

    def __enter__(self) -> ScoringProgress:
        if self._bar:
            self._bar.start()
        elif self._done < self._total:
            self._line()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        elif self._done > self._at_start:
            self._line()

    def update(self, judgements: Sequence[Judgement]) -> None:
        """Count judgements that have just been recorded."""
        for judgement in judgements:
            self.states[judgement.state] += 1
            self.cost_usd += judgement.cost_usd
            self.requests += judgement.requests
        self._done += len(judgements)
        if self._bar:
            self._bar.update(self._task, completed=self._done, rate=f"{self._rate():.0f}/s", rest=self._rest())
        elif time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line()

    def record(self) -> dict[str, Any]:
        """The counts so far: `total`, `done` and `done_at_start` in samples; what this call's judgements came to."""
        window = self._window
        return {
            "total": self._total,
            "done": self._done,
            "done_at_start": self._at_start,
            "states": dict(self.states),
            "requests": self.requests,
            "cost_usd": self.cost_usd,
            "concurrency": int(window.limit) if window else None,
            "in_flight": window.in_flight if window else None,
        }

    def _rate(self) -> float:
        return (self._done - self._at_start) / max(1e-9, time.monotonic() - self._started)

    def _rest(self) -> str:
        failed = [f"{self.states[state]} {state}" for state in STATES if state != "ok" and self.states[state]]
        parts = [f"${self.cost_usd:.4f}"] if self.cost_usd else []
        parts += failed
        if self._window:
            parts.append(f"concurrency {int(self._window.limit)}")
        return " · ".join(parts)

    def _line(self) -> None:
        self._line_at = time.monotonic()
        rate = self._rate()
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate > 0 and self._done < self._total else ""
        rest = self._rest()
        text = f"scored {self._done:,} of {self._total:,} ({rate:.0f}/s{left})" + (f" · {rest}" if rest else "")
        self._console.print(text, highlight=False, soft_wrap=True)
