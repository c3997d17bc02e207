"""Whether a candidate's response, turns and number of turns are within the settings' lengths."""

from __future__ import annotations

from collections.abc import Sequence

from efficient_empathy.dialogues import Sample
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import samples_of


class Length:
    """Drops responses and turns of too few or too many words, and contexts of too few or too many turns."""

    name = "length"
    remedy = "another prompt, or other --max-response-words, --max-turn-words, --min-turns or --max-turns"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        self._settings = settings

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The figure is the number of words or turns that is out of range, else that of the response's words."""
        return [self._verdict(sample) for sample in samples_of(candidates)]

    def _verdict(self, sample: Sample) -> Verdict:
        limits, words, turns = self._settings, len(sample.response.split()), len(sample.context)
        longest = max(len(turn.text.split()) for turn in sample.context)
        if words < limits.min_response_words:
            return Verdict("response too short", words)
        if words > limits.max_response_words:
            return Verdict("response too long", words)
        if longest > limits.max_turn_words:
            return Verdict("turn too long", longest)
        if turns < limits.min_turns:
            return Verdict("too few turns", turns)
        return Verdict("too many turns", turns) if turns > limits.max_turns else Verdict(figure=words)
