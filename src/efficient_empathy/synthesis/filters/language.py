"""Whether a candidate is in the language of its seed, or of the real data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.language import EXTRA, available, languages
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import joined, samples_of

MOST_REAL = 1_000
"""So many of the real samples, evenly spaced, show which language most are in."""


class Language:
    """Drops samples whose context or response is surely in another language; what is unsure stays."""

    name = "language"
    remedy = "a prompt that names the language, another model, or more --languages"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        self._allowed = frozenset(settings.languages)
        self._available = available()
        if not self._available:
            context.notes.append(str(missing_extra("the filter of languages", EXTRA)))
        step = max(1, len(context.real) // MOST_REAL)
        self._usual = _usual(context.real[::step]) if self._available and not self._allowed else None

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The reason names the language; there is no figure. All pass where the extra is missing."""
        if not self._available:
            return [Verdict() for _ in candidates]
        samples = samples_of(candidates)
        contexts = languages([joined(sample.context) for sample in samples])
        responses = languages([sample.response for sample in samples])
        seeds = [_whole(candidate.seed) if candidate.seed else "" for candidate in candidates]
        wanted = languages(seeds) if not self._allowed else [None] * len(seeds)
        return [
            self._verdict(pair, seed_language)
            for pair, seed_language in zip(zip(contexts, responses, strict=True), wanted, strict=True)
        ]

    def _verdict(self, found: tuple[str | None, str | None], seed_language: str | None) -> Verdict:
        usual = seed_language or self._usual
        allowed = self._allowed or ({usual} if usual else set())
        other = next((code for code in found if code and allowed and code not in allowed), None)
        return Verdict(f"language: {other}" if other else "")


def _usual(samples: Sequence[Sample]) -> str | None:
    counts = Counter(code for code in languages([_whole(sample) for sample in samples]) if code)
    return max(sorted(counts), key=counts.__getitem__, default=None)


def _whole(sample: Sample) -> str:
    return "\n".join(sample.texts())
