"""What training looks like while it runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0


class TrainingProgress:
    """Steps done, the loss, the time left. Writes to `console` (stderr)."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._began = self._line_at = time.monotonic()
        self._first: int | None = None
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console,
            )  # fmt: skip
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
                self._console.print(f"{self._what}: going on from step {step - 1} of {steps}", highlight=False)
        if self._bar:
            self._bar.update(self._task, completed=step, total=steps, loss=f"loss {loss:.3f}")
        elif step == steps or time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line_at = time.monotonic()
            rate = (step - self._first) / max(1e-9, time.monotonic() - self._began)
            left = f", {(steps - step) / rate:.0f} s left" if rate and step < steps else ""
            self._console.print(f"{self._what}: step {step:,} of {steps:,}, loss {loss:.3f}{left}", highlight=False)
