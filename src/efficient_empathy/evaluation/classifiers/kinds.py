"""What can be fitted: which labels each kind of classifier gives, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of classifier."""

    name: str
    context: bool
    """Whether it reads the context beside the response; else a text alone."""
    ordinal: bool
    """Whether its labels are levels 0, 1, 2 …, whose expectation is cut into a level."""
    strength: float
    """Of the regression: what was best in cross-validation (see `docs/fitted-metrics.md`)."""


KINDS = {
    "epitome": Kind("epitome", context=True, ordinal=True, strength=3.0),
    "emotion": Kind("emotion", context=False, ordinal=False, strength=3.0),
}

DIMENSIONS = ("emotional_reactions", "interpretations", "explorations")
"""Of EPITOME: the communication mechanisms of Sharma et al. 2020."""
LEVELS = (0, 1, 2)
"""Of each dimension: none, weak, strong."""
