"""What mixing looks like while it runs: a bar on a terminal, a line for each finished step elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def bar(console: Console, what: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """Called with what is done, and with the total where that is not known before."""
    if not console.is_terminal:
        console.print(f"{what} …", highlight=False)
        yield lambda done, total: None
        return
    with Progress(console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)
