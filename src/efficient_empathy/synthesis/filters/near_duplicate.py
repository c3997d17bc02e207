"""Whether a candidate is nearly the same as one before it, or as a real sample."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import polars as pl

from efficient_empathy.analytics.duplicates import Shingles, buckets
from efficient_empathy.analytics.table import words
from efficient_empathy.dialogues import Sample
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import plain, samples_of

RESPONSE_WORDS = 8
"""A response of so many words is one's own; shorter ones come again by nature, and only their number is limited."""
MOST_COMPARED = 64
"""In a bucket of MinHash a text is compared with so many of those that stay."""


class NearDuplicate:
    """Drops samples that share most of their three-word sequences with one that stays, or with a real sample.

    The whole sample is compared, and the response alone; where the generator answers the seed's own context, only the
    response. So a model that gives the same answer each time keeps its first. The very same sample is one however short
    it is.
    """

    name = "near_duplicate"
    remedy = "a higher --temperature, another model, or a higher --similarity"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        self._settings = settings
        self._real = context.real
        self._keeps_context = frozenset(context.keeps_context)

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The figure is the largest similarity to another that was compared, from 0 to 1."""
        samples = [*self._real, *samples_of(candidates)]
        first = len(self._real)
        has_context = [True] * first + [one.generator not in self._keeps_context for one in candidates]
        wholes = ["\n".join(one.texts()) if own else "" for one, own in zip(samples, has_context, strict=True)]
        views = [_View(wholes, 6), _View([sample.response for sample in samples], RESPONSE_WORDS)]
        short: Counter[str] = Counter()
        same: dict[str, int] = {}
        verdicts = []
        for row, sample in enumerate(samples):
            nearest, other = (1.0, same[sample.id]) if sample.id in same else max(view.nearest(row) for view in views)
            is_near = nearest >= self._settings.similarity
            reason = ("repeats a real sample" if other < first else "repeats another candidate") if is_near else ""
            if row >= first and not reason:
                reason = self._too_often(sample, short)
            if not reason:
                same[sample.id] = row
                for view in views:
                    view.add(row)
            if row >= first:
                verdicts.append(Verdict(reason, round(max(nearest, 0.0), 4)))
        return verdicts

    def _too_often(self, sample: Sample, short: Counter[str]) -> str:
        key = plain(sample.response)
        if len(key.split()) >= RESPONSE_WORDS:
            return ""
        short[key] += 1
        return "response given too often" if short[key] > self._settings.max_same_response else ""


class _View:
    """One text a sample, and those of them that stay, by the buckets of MinHash."""

    def __init__(self, texts: Sequence[str], least_words: int) -> None:
        self._shingles = Shingles.of(words(pl.Series(texts, dtype=pl.String)), least_words)
        self._places = {int(row): place for place, row in enumerate(self._shingles.rows.tolist())}
        self._buckets: dict[int, list[int]] = defaultdict(list)
        for number, bucket in enumerate(buckets(self._shingles.signatures(seed=0))):
            for place in bucket:
                self._buckets[place].append(number)
        self._members: dict[int, list[int]] = defaultdict(list)

    def nearest(self, row: int) -> tuple[float, int]:
        """The largest similarity to a row that stays, and that row; −1 for none."""
        place = self._places.get(row, -1)
        others = {other for number in self._buckets.get(place, ()) for other in self._members[number]}
        pairs = ((self._shingles.jaccard(other, place), -other) for other in others)
        similarity, other = max(pairs, default=(-1.0, 0))
        return similarity, int(self._shingles.rows[-other]) if similarity >= 0 else -1

    def add(self, row: int) -> None:
        """Later rows are compared with this one."""
        place = self._places.get(row, -1)
        for number in self._buckets.get(place, ()):
            if len(self._members[number]) < MOST_COMPARED:
                self._members[number].append(place)
