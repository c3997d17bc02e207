"""The settings of the filters of synthetic samples."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from efficient_empathy.foundation.settings import Settings

BUNDLED = {
    name: f"efficient_empathy.synthesis.filters.{name}:{maker}"
    for name, maker in (
        ("format", "Format"),
        ("language", "Language"),
        ("length", "Length"),
        ("refusal", "Refusal"),
        ("personal_data", "PersonalData"),
        ("seed_copy", "SeedCopy"),
        ("contamination", "Contamination"),
        ("near_duplicate", "NearDuplicate"),
    )
}
"""The package's own filters, in the order in which they look at candidates: what is wrong with one by itself comes
first, and duplicates last, so that the one that stays is good."""


class FilterSettings(Settings):
    """Settings of the filters that synthetic samples go through before a judge sees them."""

    filters: tuple[str, ...] = tuple(BUNDLED)
    """The filters, in the order in which they look at what is left."""
    languages: tuple[str, ...] = ()
    """Languages that a sample may be in (ISO 639-1: en, de); by default its seed's, or that of most real samples."""
    min_response_words: int = Field(default=1, ge=1)
    """A response of fewer words is too short."""
    max_response_words: int = Field(default=30, ge=1)
    """A response of more words is too long."""
    max_turn_words: int = Field(default=100, ge=1)
    """A turn of the context with more words is too long."""
    min_turns: int = Field(default=1, ge=1)
    """A context of fewer turns is too short; three are two of the speaker and one of the listener."""
    max_turns: int = Field(default=15, ge=1)
    """A context of more turns is too long."""
    seed_overlap: float = Field(default=0.6, gt=0, le=1)
    """A context or response that shares so large a part of its pairs of words with the seed's (Dice) copies it."""
    similarity: float = Field(default=0.7, ge=0.6, le=1)
    """Near duplicates share so large a part of their three-word sequences (Jaccard)."""
    max_same_response: int = Field(default=3, ge=1)
    """A short response, such as "Thank you!", stays in so many samples."""
    contamination: float = Field(default=0.35, gt=0, le=1)
    """A sample that shares so large a part of its words with test data copies it (Jaccard; rare words count more)."""

    @model_validator(mode="after")
    def _possible(self) -> FilterSettings:
        if self.filters[:1] != ("format",):
            raise ValueError("filters: format comes first, since the others need a sample that it has found whole")
        if strange := [code for code in self.languages if not re.fullmatch("[a-z]{2}", code)]:
            raise ValueError(f"languages: {strange[0]!r} is no code of two letters, such as en or de")
        for low, high in (("min_response_words", "max_response_words"), ("min_turns", "max_turns")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} is above {high}: no sample could pass")
        return self
