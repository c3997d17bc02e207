"""What every filter keeps to. A new filter is a new file and one line in `BUNDLED`, or a package's entry point."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import Sample
from efficient_empathy.synthesis.candidate import Candidate

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Makes of each text a row of length 1."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter says of one candidate: why it goes (empty: it stays), and the figure that it went by, if any.

    A reason is a phrase that many candidates share, so that they can be counted by it.
    """

    reason: str = ""
    figure: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the candidate stays."""
        return not self.reason


class Filter(Protocol):
    """Looks at all candidates that the filters before it have let pass, in their order.

    `name` is a word for tables and counts; `remedy` names what would let some pass where it lets none. A filter is
    deterministic: the same candidates in the same order give the same verdicts, so that a run that goes on decides as
    an undisturbed one.
    """

    name: str
    remedy: str

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each candidate, in order. Raises `UserError` for what concerns all of them."""
        ...


@dataclass(frozen=True)
class FilterContext:
    """What filters are built from beside their settings.

    `real` are the real samples that candidates must not repeat. `protected` are those that nothing may be trained on
    (the run's test split, test files), by what reasons call them. `templates` are the texts of each generator's
    prompt, as far as they are the same for every seed. `keeps_context` names the generators that answer the seed's own
    context. `notes` takes what a user is told once.
    """

    real: Sequence[Sample] = ()
    protected: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    templates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    keeps_context: Collection[str] = ()
    embed: Embed | None = None
    notes: list[str] = field(default_factory=list)
