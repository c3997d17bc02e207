"""What generating looks like while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from efficient_empathy.modelling.generation.contract import Reply

LINE_EVERY_S = 10.0


class GenerationProgress:
    """Replies done of all, tokens per second, time left, cost. Writes to `console` (stderr)."""

    def __init__(self, console: Console, name: str, total: int, done: int) -> None:
        self._console, self._name, self._total, self._done = console, name, total, done
        self._started = self._line_at = time.monotonic()
        self._tokens, self._cost_usd = 0, 0.0
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console,
            )  # fmt: skip
            self._task = self._bar.add_task(name, total=total, completed=done, rate="")

    def __enter__(self) -> GenerationProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        else:
            self._line()

    def update(self, replies: Sequence[Reply]) -> None:
        """Count replies that have just been kept."""
        self._done += len(replies)
        self._tokens += sum(reply.completion_tokens for reply in replies)
        self._cost_usd += sum(reply.cost_usd for reply in replies)
        if self._bar:
            self._bar.update(self._task, completed=self._done, rate=self._rate())
        elif time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line()

    def _rate(self) -> str:
        rate = f"{self._tokens / max(1e-9, time.monotonic() - self._started):,.0f} tokens/s"
        return f"{rate} · ${self._cost_usd:.4f}" if self._cost_usd else rate

    def _line(self) -> None:
        self._line_at = time.monotonic()
        self._console.print(
            f"{self._name}: answered {self._done:,} of {self._total:,} ({self._rate()})",
            highlight=False, soft_wrap=True, markup=False,
        )  # fmt: skip
