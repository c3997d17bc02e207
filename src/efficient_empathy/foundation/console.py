"""The console that commands and stages write to, and its bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

import rich.console
from rich.segment import Segment

from efficient_empathy.foundation.errors import mask
from efficient_empathy.foundation.terminal import PlainStream, visible

if TYPE_CHECKING:
    from rich.progress import Progress


class Console(rich.console.Console):
    """rich's console, for text that is data: brackets are no markup, and no control character of it gets through."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False, **options: Any) -> None:
        plain = {"markup": False, "highlight": False, "emoji": False, "soft_wrap": True}
        super().__init__(stderr=stderr, quiet=quiet, **{**plain, **options})

    @property
    def file(self) -> IO[str]:
        """The stream itself, since the console's own sequences must reach it."""
        stream: Any = super().file
        return stream.raw if isinstance(stream, PlainStream) else stream

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What all output is made of, texts of bars and tables too: each as it may be seen."""
        for text, style, control in super().render(renderable, options):
            if control is None:
                style = style.update_link(None) if style is not None and style.link else style
                text = visible(mask(text))
            yield Segment(text, style, control)


def bar(console: Console, *fields: str) -> Progress:
    """A bar for tasks: its description, how far it is, its `fields`, the time that it has taken and has left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as TimeLeftColumn

    texts = [TextColumn(f"{{task.fields[{field}]}}", markup=False) for field in fields]
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), *texts,
        TimeElapsedColumn(), TextColumn("left"), TimeLeftColumn(), console=console, disable=not console.is_terminal,
        speed_estimate_period=SLOWEST_S,
    )  # fmt: skip


SLOWEST_S = 600.0
"""Seconds that a bar looks back on to tell the time left: a task whose single steps take longer is told none."""


def pace(done: float, seconds: float) -> str:
    """How fast so many were done: `12/s`, and below one a second the time of each: `3.4 s each`. Empty before any."""
    if done <= 0 or seconds <= 0:
        return ""
    each = seconds / done
    return f"{done / seconds:,.0f}/s" if each <= 1 else f"{each:.1f} s each" if each < 10 else f"{each:,.0f} s each"
