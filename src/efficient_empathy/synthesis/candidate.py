"""What a generator has made, before any filter has looked at it."""

from __future__ import annotations

from dataclasses import dataclass

from efficient_empathy.dialogues import Sample


@dataclass(frozen=True, slots=True)
class Candidate:
    """A synthetic sample, what it was made from, and what the model wrote.

    `sample` is None where the reply could not be read as one; then `fault` says why. `seed` is the real sample that
    the prompt showed, None where it showed none. `reply` is the model's text as it came; `None` where it gave none.
    """

    generator: str
    seed: Sample | None
    reply: str | None
    sample: Sample | None = None
    fault: str = ""
