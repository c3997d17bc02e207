"""Whether new samples are like those that a judge learnt from: counts in the bins of its reference, and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import NonNegativeInt

from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.statistics.drift import Level, lower_share, shift
from efficient_empathy.labelling.distillation.reference import FILE, Feature, Reference, Values
from efficient_empathy.labelling.prediction.words import many_outside, shift_words

LEVELS: tuple[Level, ...] = ("ok", "watch", "alarm")
OUTSIDE_WATCH, OUTSIDE_ALARM = 0.05, 0.2
"""By how much the share of samples outside the judge's ranges must exceed what is usual. Chosen so that two strange
samples of two are an alarm, and one of one is worth a look."""
OUTSIDE_CHANCE = 0.01
"""How often the bound of that share may be missed."""
NO_REFERENCE = (
    f"drift cannot be checked: the judge's folder has no {FILE}, which `efficient-empathy distill` writes since it "
    "exists; distil the judge again to have one"
)


class InputCounts(Part):
    """Samples counted into the bins of a reference's features; counts of several hours add up.

    `squares` is the sum, over conversations, of the square of how many samples each has: what tells how much all of
    them are worth as independent ones. `bins` has the counts of each feature; `below` and `above` how many samples lie
    outside its range. All are empty where there is no reference.
    """

    samples: NonNegativeInt = 0
    squares: NonNegativeInt = 0
    outside: NonNegativeInt = 0
    bins: tuple[tuple[NonNegativeInt, ...], ...] = ()
    below: tuple[NonNegativeInt, ...] = ()
    above: tuple[NonNegativeInt, ...] = ()

    def __add__(self, other: InputCounts) -> InputCounts:
        """Both together; a conversation that is in either is two."""
        if not self.samples or not other.samples:
            return self if self.samples else other
        return InputCounts(
            samples=self.samples + other.samples,
            squares=self.squares + other.squares,
            outside=self.outside + other.outside,
            bins=tuple(_sum(one, two) for one, two in zip(self.bins, other.bins, strict=True)),
            below=_sum(self.below, other.below),
            above=_sum(self.above, other.above),
        )


class Tally:
    """Counts features into the bins of a reference; holds no sample, only how many each conversation had."""

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._dialogues: Counter[str] = Counter()
        self._outside = 0
        features = reference.features if reference else ()
        self._counts = [np.zeros(len(feature.counts), np.int64) for feature in features]
        self._beyond = np.zeros((2, len(features)), np.int64)

    def add(self, values: Values, dialogue_ids: Sequence[str]) -> None:
        """Count samples by their features, shape (samples, features), and the conversations that they are of."""
        self._dialogues.update(dialogue_ids)
        if self._reference is None:
            return
        low, high = (np.array([getattr(f, bound) for f in self._reference.features]) for bound in ("low", "high"))
        self._beyond += [(values < low).sum(0), (values > high).sum(0)]
        self._outside += int(((values < low) | (values > high)).any(1).sum())
        for i, feature in enumerate(self._reference.features):
            self._counts[i] += feature.count(values[:, i])

    @property
    def conversations(self) -> int:
        """How many different conversations were counted."""
        return len(self._dialogues)

    @property
    def counts(self) -> InputCounts:
        """What was counted."""
        return InputCounts(
            samples=sum(self._dialogues.values()),
            squares=sum(count**2 for count in self._dialogues.values()),
            outside=self._outside,
            bins=tuple(tuple(each.tolist()) for each in self._counts),
            below=tuple(self._beyond[0].tolist()),
            above=tuple(self._beyond[1].tolist()),
        )

    def verdict(self) -> dict[str, Any]:
        """See `verdict`."""
        return verdict(self._reference, self.counts)


def verdict(reference: Reference | None, counts: InputCounts) -> dict[str, Any]:
    """`verdict`: ok, watch or alarm; unknown without a reference, none without samples. With it, figures.

    Samples of one conversation count as one where chance is weighed. A verdict is the worst of: the share of
    samples outside a range, and every feature's shift (`statistics.drift.shift`).
    """
    if reference is None:
        return {"verdict": "unknown", "words": [NO_REFERENCE]}
    if not counts.samples:
        return {"verdict": "none", "words": []}
    size = counts.samples**2 / counts.squares
    outside = _outside_figures(reference, counts, size)
    features = [_feature(reference, counts, i, size) for i in range(len(counts.bins))]
    worst = max((outside["level"], *(f["level"] for f in features)), key=LEVELS.index)
    return {
        "verdict": worst,
        "samples": counts.samples,
        "reference": {"samples": reference.samples, "conversations": reference.conversations},
        "outside": outside,
        "features": features,
        "words": _words(reference, counts, outside, features),
    }


def _outside_figures(reference: Reference, counts: InputCounts, size: float) -> dict[str, Any]:
    share, usual = counts.outside / counts.samples, reference.usual_outside
    least = lower_share(share * size, size, OUTSIDE_CHANCE)
    excess = least - usual
    level = "alarm" if excess >= OUTSIDE_ALARM else "watch" if excess >= OUTSIDE_WATCH else "ok"
    figures = {"share": share, "at_least": least, "usual": usual}
    return {"level": level, "samples": counts.outside, **{k: round(v, 4) for k, v in figures.items()}}


def _feature(reference: Reference, counts: InputCounts, i: int, size: float) -> dict[str, Any]:
    feature = reference.features[i]
    difference = shift(feature.counts, counts.bins[i], expected_size=reference.effective_size, actual_size=size)
    figures = {
        "psi": difference.psi, "psi_expected": difference.noise, "psi_limit": difference.limit,
        "jensen_shannon": difference.jensen_shannon, "below": counts.below[i] / counts.samples,
        "above": counts.above[i] / counts.samples,
    }  # fmt: skip
    short = {key: round(float(value), 4) for key, value in figures.items()}
    about = {"feature": feature.name, "level": difference.level, "blind": difference.blind}
    return {**about, "low": feature.low, "high": feature.high, **short}


def _words(
    reference: Reference, counts: InputCounts, outside: dict[str, Any], features: Sequence[dict[str, Any]]
) -> list[str]:
    """What is out of place, the worst first."""
    sentences: list[tuple[float, str]] = []
    for feature, bins, figures in zip(reference.features, counts.bins, features, strict=True):
        share, above = max((figures[side], side == "above") for side in ("below", "above"))
        if outside["level"] != "ok" and share >= OUTSIDE_WATCH:
            sentences.append((1 + share, many_outside(reference, feature, above, share)))
        elif figures["level"] != "ok":
            words = shift_words(reference, feature.name, _is_higher(feature, bins), figures["psi"])
            sentences.append((min(1.0, figures["psi"]), words))
    return [words for _, words in sorted(sentences, key=lambda one: -one[0])]


def _is_higher(feature: Feature, counts: Sequence[int]) -> bool:
    """Whether the samples stand higher in the feature's bins than the reference, on average."""
    bins = np.arange(len(feature.counts))
    expected, actual = np.array(feature.counts), np.array(counts)
    return bool(bins @ actual / actual.sum() > bins @ expected / expected.sum())


def _sum(one: Sequence[int], two: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, two, strict=True))
