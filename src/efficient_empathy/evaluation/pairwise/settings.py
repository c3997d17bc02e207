"""The settings of `pairwise`."""

from __future__ import annotations

from pydantic import Field

from efficient_empathy.foundation.settings import Settings


class PairwiseSettings(Settings):
    """How many samples are compared, and how sure the figures are."""

    samples: int | None = Field(default=None, ge=1)
    """Compare so many samples at most."""
    resamples: int = Field(default=1000, ge=100)
    """Of the bootstrap, over dialogues."""
    confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    """Of the intervals."""
    seed: int = Field(default=0, ge=0)
    """Of the bootstrap."""
