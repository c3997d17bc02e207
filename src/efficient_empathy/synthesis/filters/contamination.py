"""Whether a candidate repeats a sample that nothing may be trained on: test data, or the run's own test split.

Texts are compared as sets of words, each with its weight: the logarithm of how rare it is among all texts, real and
protected. So neither the order of clauses nor what everybody says counts, and a copy whose words are changed here and
there still shares the rare ones. Context and response are compared together and each alone: "I'm so sorry to hear
that!" is no copy of anything, since its words weigh little. Where the words leave doubt, the encoder decides.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from efficient_empathy.dialogues import Sample
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters.contract import FilterContext, Verdict
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.filters.texts import joined, runs, samples_of, words_of

WHOLE = "sample"
EVIDENCE = {WHOLE: 18.0, "context": 16.0, "response": 20.0}
"""By part of a sample, the least weight (natural logarithms) of the words in common, times their overlap. The figures
here were chosen on EmpatheticDialogues, ESConv and one set of rewording rules: benchmarks/RESULTS.md."""
RUN, RUN_WEIGHT = 8, 30.0
"""So many words in a row, of such weight together, are a passage: found within any longer text."""
DOUBT, DOUBT_WEIGHT, SAME_MEANING = 0.7, 60.0, 0.6
"""So large a part of the overlap that is asked for, with so much weight in common, is enough at such a cosine."""
RAREST, COMPARED = 24, 8
"""By so many of a text's rarest words others are looked for, and the best so many of these are compared in full."""
Words = frozenset[str]


class Contamination:
    """Drops samples that copy a protected one: word for word, reworded, in another order, or a passage of it."""

    name = "contamination"
    remedy = "seeds that are no test data: a --test-file must not be what the run was made from"

    def __init__(self, settings: FilterSettings, context: FilterContext) -> None:
        self._least = settings.contamination
        self._embed = context.embed
        self._owners = [name for name, samples in context.protected.items() for _ in samples]
        self._protected = [sample for samples in context.protected.values() for sample in samples]
        texts = {text for sample in (*context.real, *self._protected) for text in sample.texts()}
        self._weights = Weights(texts)
        parts = [_parts(sample) for sample in self._protected]
        self._indices = {part: Index([one[part] for one in parts], self._weights) for part in EVIDENCE}
        self._runs: dict[int, int] = {}
        for place, sample in enumerate(self._protected):
            for run in _runs(sample):
                if self._weights.total(set(run)) >= RUN_WEIGHT:
                    self._runs.setdefault(hash(run), place)

    def check(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """The figure is the overlap with the nearest protected sample, from 0 to 1; 0 where they have too little in
        common to tell."""
        samples = samples_of(candidates)
        verdicts, doubts = [], {}
        for number, sample in enumerate(samples):
            verdict, doubt = self._compare(sample)
            verdicts.append(verdict)
            if verdict.passed and doubt is not None:
                doubts[number] = doubt
        for number in self._same_meaning(samples, doubts):
            reason = f"says the same as {self._owners[doubts[number].place]}"
            verdicts[number] = Verdict(reason, round(doubts[number].overlap, 4))
        return verdicts

    def _compare(self, sample: Sample) -> tuple[Verdict, Match | None]:
        """What the words say, and the match that leaves doubt, if there is one."""
        matches = {part: self._indices[part].matches(words) for part, words in _parts(sample).items()}
        firm = [
            (one.overlap, part, one.place)
            for part, some in matches.items()
            for one in some
            if one.shared * one.overlap >= EVIDENCE[part]
        ]
        overlap, part, place = max(firm, default=(0.0, WHOLE, 0))
        if overlap >= self._least:
            return Verdict(f"{part} repeats {self._owners[place]}", round(overlap, 4)), None
        passage = next((self._runs[hash(run)] for run in _runs(sample) if hash(run) in self._runs), None)
        reason = "" if passage is None else f"has a passage of {self._owners[passage]}"
        least = DOUBT * self._least
        doubts = [one for one in matches[WHOLE] if one.overlap >= least and one.shared >= DOUBT_WEIGHT]
        return Verdict(reason, round(overlap, 4)), max(doubts, key=lambda one: one.overlap, default=None)

    def _same_meaning(self, samples: Sequence[Sample], doubts: Mapping[int, Match]) -> list[int]:
        """Which of the samples in doubt the encoder finds to be what the protected one says."""
        if self._embed is None or not doubts:
            return []
        own = self._embed(["\n".join(samples[number].texts()) for number in doubts])
        others = self._embed(["\n".join(self._protected[one.place].texts()) for one in doubts.values()])
        cosines = (own * others).sum(axis=1)
        return [number for number, cosine in zip(doubts, cosines, strict=True) if cosine >= SAME_MEANING]


def _runs(sample: Sample) -> Iterator[tuple[str, ...]]:
    return (run for text in sample.texts() for run in runs(words_of(text), RUN))


def _parts(sample: Sample) -> Mapping[str, Words]:
    """The words of the whole, of the context and of the response."""
    context, response = frozenset(words_of(joined(sample.context))), frozenset(words_of(sample.response))
    return {WHOLE: context | response, "context": context, "response": response}


class Weights:
    """How much a word weighs: the logarithm of the number of texts over the number of those that have it."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        number = 0
        for text in texts:
            number += 1
            counts.update(set(words_of(text)))
        self._most = math.log(max(2, number))
        self._weights = {word: self._most - math.log(count) for word, count in counts.items()}

    def __getitem__(self, word: str) -> float:
        return self._weights.get(word, self._most)

    def total(self, words: Iterable[str]) -> float:
        """Of some words together; the same in whatever order they come."""
        return math.fsum(map(self.__getitem__, words))


@dataclass(frozen=True)
class Match:
    """The place of a text that is like another, the weight of what they share, and that over the weight of both."""

    place: int
    shared: float
    overlap: float


class Index:
    """Texts as sets of words, found by the rare ones."""

    def __init__(self, texts: Sequence[Words], weights: Weights) -> None:
        self._texts, self._weights = texts, weights
        self._totals = np.array([weights.total(words) for words in texts])
        places: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(texts):
            for word in words:
                places[word].append(place)
        self._places = {word: np.array(some, np.int64) for word, some in places.items()}

    def matches(self, words: Words) -> list[Match]:
        """The few texts that are most alike, in no order."""
        total = self._weights.total(words)
        matches = []
        for place in self._alike(words, total):
            shared = self._weights.total(words & self._texts[place])
            matches.append(Match(place, shared, float(shared / (total + self._totals[place] - shared))))
        return matches

    def _alike(self, words: Words, total: float) -> list[int]:
        """The places of the texts that have the most evidence by the rarest words alone."""
        known = sorted((word for word in words if word in self._places), key=lambda one: (len(self._places[one]), one))
        if not known:
            return []
        some = [self._places[word] for word in known[:RAREST]]
        weights = np.repeat([self._weights[word] for word in known[:RAREST]], [len(one) for one in some])
        shared = np.bincount(np.concatenate(some), weights, minlength=len(self._texts))
        scores = shared**2 / (total + self._totals - shared)
        most = min(COMPARED, len(scores))
        best: list[int] = np.argpartition(-scores, most - 1)[:most].tolist()
        return [place for place in best if scores[place] > 0]
