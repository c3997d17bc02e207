"""What training, mixing and generating look like while they run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from efficient_empathy.foundation.console import Console, bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from efficient_empathy.modelling.generation.backends import Reply

LINE_EVERY_S = 10.0
"""Seconds between two lines where there is no terminal."""


class TrainingProgress:
    """Steps done, the loss, the time left. Writes to `console` (stderr)."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._began = self._line_at = time.monotonic()
        self._first: int | None = None
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = bar(console, "loss")
            self._task = self._bar.add_task(what, total=None, loss="")

    def __enter__(self) -> TrainingProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, step: int, steps: int, loss: float) -> None:
        """One step is done."""
        if self._first is None:
            self._first, self._began = step, time.monotonic()
            if step > 1:
                self._console.print(f"{self._what}: going on from step {step - 1} of {steps}")
        if self._bar:
            self._bar.update(self._task, completed=step, total=steps, loss=f"loss {loss:.3f}")
        elif step == steps or time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line_at = time.monotonic()
            rate = (step - self._first) / max(1e-9, time.monotonic() - self._began)
            rest = f", {(steps - step) / rate:.0f} s left" if rate and step < steps else ""
            self._console.print(f"{self._what}: step {step:,} of {steps:,}, loss {loss:.3f}{rest}")


@contextmanager
def progress_bar(console: Console, what: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """Called with what is done, and with the total where that is not known before."""
    if not console.is_terminal:
        console.print(f"{what} …")
        yield lambda done, total: None
        return
    with bar(console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class GenerationProgress:
    """Replies done of all, tokens per second, time left, cost. Writes to `console` (stderr)."""

    def __init__(self, console: Console, name: str, total: int, done: int) -> None:
        self._console, self._name, self._total, self._done = console, name, total, done
        self._started = self._line_at = time.monotonic()
        self._tokens, self._cost_usd = 0, 0.0
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = bar(console, "rate")
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
        self._console.print(f"{self._name}: answered {self._done:,} of {self._total:,} ({self._rate()})")
