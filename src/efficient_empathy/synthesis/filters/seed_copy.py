"""Whether a candidate's context or response is its seed's, or nearly so."""

from __future__ import annotations

from collections.abc import Sequence

from efficient_empathy.dialogues import Sample
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import joined, runs, words_of

LEAST_WORDS = 4
"""A shorter response, such as "Thank you!", may be the seed's too."""


class SeedCopy:
    """Drops what copies its seed: pairs of neighbouring words are compared, without case and punctuation.

    The context is not compared where the generator answers the seed's own.
    """

    name = "seed_copy"
    remedy = "a prompt that asks for more change, a higher --temperature, or a higher --seed-overlap"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        self._most = settings.seed_overlap
        self._keeps_context = frozenset(context.keeps_context)

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The figure is the larger overlap of the two, from 0 to 1."""
        return [self._verdict(candidate) for candidate in candidates]

    def _verdict(self, candidate: Candidate) -> Verdict:
        sample, seed = candidate.sample, candidate.seed
        if sample is None or seed is None:
            return Verdict()
        response = overlap(words_of(sample.response), words_of(seed.response))
        context = 0.0 if candidate.generator in self._keeps_context else _context_overlap(sample, seed)
        copied = "response" if response >= self._most else "context" if context >= self._most else ""
        return Verdict(f"{copied} copies the seed's" if copied else "", round(max(response, context), 4))


def _context_overlap(sample: Sample, seed: Sample) -> float:
    return overlap(words_of(joined(sample.context)), words_of(joined(seed.context)))


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """The share of neighbouring pairs of words that two texts have in common (Dice); 0 where one is short."""
    if min(len(first), len(second)) < LEAST_WORDS:
        return 0.0
    one, other = runs(first, 2), runs(second, 2)
    return 2 * len(one & other) / (len(one) + len(other))
