"""Whether a candidate holds what looks like personal data."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from efficient_empathy.dialogues.personal_data import KINDS, kinds_of_texts
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import samples_of


class PersonalData:
    """Drops samples with e-mail addresses, phone and card numbers and the like in any turn."""

    name = "personal_data"
    remedy = "a prompt that forbids it, or --filters without personal_data"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        pass

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The reason names the kinds; the figure is how many such data there are."""
        texts = [sample.texts() for sample in samples_of(candidates)]
        kinds_by_text = kinds_of_texts(pl.Series(sorted({one for some in texts for one in some}), dtype=pl.String))
        verdicts = []
        for some in texts:
            counts = [kinds_by_text[text] for text in some if text in kinds_by_text]
            kinds = [words for kind, words in KINDS.items() if any(count[kind] for count in counts)]
            verdicts.append(Verdict(", ".join(kinds), sum(count.total() for count in counts)))
        return verdicts
