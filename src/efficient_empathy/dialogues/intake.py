"""What happened to the rows that were read: which were bad, and which were repaired."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from efficient_empathy.foundation.errors import UserError

OnBadRow = Literal["fail", "skip"]
KEPT_BAD_ROWS = 1000


class BadRowError(UserError):
    """A row that carries no sample, where bad rows are meant to stop the reading."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that carries no sample: where it stands (`file:line`) and why."""

    place: str
    reason: str


@dataclass(slots=True)
class Intake:
    """Counts what a reader drops or repairs, so that nothing is lost in silence.

    `bad_rows` keeps the first 1,000; `bad_row_count` counts all. `repairs` counts, by kind, what was mended and kept.
    """

    on_bad_row: OnBadRow = "fail"
    bad_row_count: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)

    def bad(self, place: str, reason: str) -> None:
        """Note a bad row; raises `BadRowError` unless bad rows are skipped."""
        if self.on_bad_row == "fail":
            raise BadRowError(
                f"{place}: {reason}. Mend the row, or pass --on-bad-row skip to count and leave out such rows."
            )
        self.bad_row_count += 1
        if len(self.bad_rows) < KEPT_BAD_ROWS:
            self.bad_rows.append(BadRow(place, reason))

    def clear(self) -> None:
        """Forget what was counted, before a new pass over the same rows."""
        self.bad_row_count = 0
        self.bad_rows.clear()
        self.repairs.clear()
