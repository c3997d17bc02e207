"""What training, mixing and generating look like while they run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from efficient_empathy.foundation.console import Console, bar, pace
from efficient_empathy.foundation.figures.formatting import duration

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
            self._bar = bar(console, "state")
            self._task = self._bar.add_task(what, total=None, state="")

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
        seconds, done = time.monotonic() - self._began, step - self._first
        speed = pace(done, seconds)
        if self._bar:
            told = ", ".join(filter(None, (f"loss {loss:.3f}", speed)))
            self._bar.update(self._task, completed=step, total=steps, state=told)
        elif step == steps or self._is_time_for_a_line():
            left = f"{duration((steps - step) * seconds / done)} left" if done and step < steps else ""
            told = ", ".join(filter(None, (f"loss {loss:.3f}", speed, left)))
            self._console.print(f"{self._what}: step {step:,} of {steps:,}, {told}")

    def held_out(self, done: int, total: int) -> None:
        """So many of the held-out samples are measured, before the first step or between two."""
        told = f"held-out loss: {done:,} of {total:,} samples"
        if self._bar:
            self._bar.update(self._task, state=told if done < total else "")
        elif self._is_time_for_a_line():
            self._console.print(f"{self._what}: {told}")

    def _is_time_for_a_line(self) -> bool:
        now = time.monotonic()
        if now - self._line_at < LINE_EVERY_S:
            return False
        self._line_at = now
        return True


@contextmanager
def progress_bar(console: Console, what: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """Called with what is done, and with the total where that is not known before."""
    if not console.is_terminal:
        console.print(f"{what} …")
        line_at = time.monotonic()

        def tell(done: int, total: int | None) -> None:
            nonlocal line_at
            if total and time.monotonic() - line_at >= LINE_EVERY_S:
                line_at = time.monotonic()
                console.print(f"{what}: {done / total:.0%}")

        yield tell
        return
    with bar(console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class GenerationProgress:
    """Replies done of all, tokens per second, time left, cost. Writes to `console` (stderr)."""

    def __init__(self, console: Console, name: str, total: int, done: int) -> None:
        self._console, self._name, self._total, self._done = console, name, total, done
        self._done_at_start, self._started = done, time.monotonic()
        self._line_at, self._tokens, self._cost_usd = self._started, 0, 0.0
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
        seconds = max(1e-9, time.monotonic() - self._started)
        parts = [f"{self._tokens / seconds:,.0f} tokens/s", pace(self._done - self._done_at_start, seconds)]
        if self._cost_usd:
            parts.append(f"${self._cost_usd:.4f}")
        return " · ".join(filter(None, parts))

    def _line(self) -> None:
        self._line_at = time.monotonic()
        self._console.print(f"{self._name}: answered {self._done:,} of {self._total:,} ({self._rate()})")
