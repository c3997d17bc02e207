"""What every filter keeps to. A new filter is a new file and one line in `FILTERS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from efficient_empathy.synthesis.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter says of one candidate: why it goes (empty: it stays), and the figure that it went by, if any."""

    reason: str = ""
    figure: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the candidate stays."""
        return not self.reason


class Filter(Protocol):
    """Looks at all candidates that the filters before it have let pass, in their order.

    `name` is a word for tables and counts. A filter is deterministic: the same candidates in the same order give the
    same verdicts, so that a run that goes on decides as an undisturbed one.
    """

    name: str

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each candidate, in order. Raises `UserError` for what concerns all of them."""
        ...
