"""The contract of every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from efficient_empathy.dialogues.rows import Intake, Row
from efficient_empathy.dialogues.sample import Sample


class Reader(Protocol):
    """One format: how rows are read as samples. It knows nothing of files.

    A row that carries no sample goes to `intake.bad` with its reason, what is mended is counted in `intake.repairs`,
    and nothing but a `UserError` is raised, whatever the values are (`rows.each` sees to both).
    """

    name: str
    """What `--format` calls it."""
    help: str
    """What a row of it has, in one line, for the handbook."""

    def recognises(self, row: dict[str, Any]) -> bool:
        """Whether a row is of this format."""
        ...

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """The samples of one file's rows, in order, lazily."""
        ...
