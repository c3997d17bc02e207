"""The settings of `analytics`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from efficient_empathy.foundation.settings import Settings

HALF, JUDGED = "half", "judged"
"""Periods that every run has: the halves of its file, and of the time in which it was judged."""


class AnalyticsSettings(Settings):
    """Settings of the numbers in `analytics.json`."""

    against: Path | None = None
    """Another scored run that drift is measured from; else two periods of this one."""
    periods: str = HALF
    """half: the second half of the file against the first; judged: the same by the time of judgement; or a column of
    the samples (split, source, category, turn): every other value against the one that comes first."""
    topics: int | None = Field(default=None, ge=2, le=100)
    """How many topics there are; by default one for every 25 dialogues, from 2 to 20."""
    longest: int = Field(default=120, ge=1)
    """A response of more words is too long."""
    longest_context: int = Field(default=400, ge=1)
    """A context of more words is too long: training reads 512 tokens by default, the distilled judge 128."""
    similarity: float = Field(default=0.8, ge=0.5, le=1)
    """Near duplicates share so large a part of their three-word sequences (Jaccard)."""
    regions: tuple[str, ...] = ("US", "GB")
    """Telephone numbers are known as they are written within these regions (ISO 3166-1), and in international form."""
    resamples: int = Field(default=200, ge=0)
    """Draws of dialogues behind the intervals of correlations; 0 for none."""
    confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    """Confidence of the intervals."""
    seed: int = Field(default=0, ge=0)
    """Of topics, resamples and MinHash."""

    @model_validator(mode="after")
    def _one_comparison(self) -> AnalyticsSettings:
        if self.against is not None and self.periods != HALF:
            raise ValueError("against and periods do not go together: drift is from another run, or between periods")
        return self
