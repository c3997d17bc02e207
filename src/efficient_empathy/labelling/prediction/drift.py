"""Whether the inputs of a judge are like those that it learnt from: counted as they come, told at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from efficient_empathy.foundation.statistics.drift import Level, effective_size, lower_share, shift
from efficient_empathy.labelling.distillation.reference import FILE, Feature, Reference, Values
from efficient_empathy.labelling.prediction.words import many_outside, moved

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


class Tally:
    """Counts features into the bins of a reference; holds no sample, only how many each conversation had."""

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference
        self._dialogues: Counter[str] = Counter()
        self._outside = 0
        features = reference.features if reference else ()
        self._counts = [np.zeros(len(feature.counts)) for feature in features]
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

    def verdict(self) -> dict[str, Any]:
        """`verdict`: ok, watch or alarm; unknown without a reference, none without samples. With it, figures.

        Samples of one conversation count as one where chance is weighed. A verdict is the worst of: the share of
        samples outside a range, and every feature's shift (`statistics.drift.shift`).
        """
        samples = sum(self._dialogues.values())
        if self._reference is None:
            return {"verdict": "unknown", "words": [NO_REFERENCE]}
        if not samples:
            return {"verdict": "none", "words": []}
        size = effective_size([*self._dialogues.values()])
        outside = self._outside_figures(samples, size)
        features = [self._feature(i, samples, size) for i in range(len(self._counts))]
        worst = max((outside["level"], *(f["level"] for f in features)), key=LEVELS.index)
        return {
            "verdict": worst,
            "samples": samples,
            "reference": {"samples": self._reference.samples, "conversations": self._reference.conversations},
            "outside": outside,
            "features": features,
            "words": self._words(outside, features, samples),
        }

    def _outside_figures(self, samples: int, size: float) -> dict[str, Any]:
        assert self._reference is not None
        share, usual = self._outside / samples, self._reference.usual_outside
        least = lower_share(share * size, size, OUTSIDE_CHANCE)
        excess = least - usual
        level = "alarm" if excess >= OUTSIDE_ALARM else "watch" if excess >= OUTSIDE_WATCH else "ok"
        figures = {"share": share, "at_least": least, "usual": usual}
        return {"level": level, "samples": self._outside, **{k: round(v, 4) for k, v in figures.items()}}

    def _feature(self, i: int, samples: int, size: float) -> dict[str, Any]:
        assert self._reference is not None
        feature = self._reference.features[i]
        found = shift(feature.counts, self._counts[i], expected_size=self._reference.effective_size, actual_size=size)
        figures = {
            "psi": found.psi, "psi_expected": found.noise, "psi_limit": found.limit,
            "jensen_shannon": found.jensen_shannon, "below": self._beyond[0, i] / samples,
            "above": self._beyond[1, i] / samples,
        }  # fmt: skip
        rounded = {key: round(float(value), 4) for key, value in figures.items()}
        return {"feature": feature.name, "level": found.level, "low": feature.low, "high": feature.high, **rounded}

    def _words(self, outside: dict[str, Any], features: Sequence[dict[str, Any]], samples: int) -> list[str]:
        """What is out of place, the worst first."""
        assert self._reference is not None
        told: list[tuple[float, str]] = []
        for i, found in enumerate(features):
            feature = self._reference.features[i]
            far = [(found[side], side == "above") for side in ("below", "above")]
            share, above = max(far)
            if outside["level"] != "ok" and share >= OUTSIDE_WATCH:
                told.append((1 + share, many_outside(feature, above, share)))
            elif found["level"] != "ok":
                told.append((min(1.0, found["psi"]), moved(feature.name, self._higher(feature, i), found["psi"])))
        return [words for _, words in sorted(told, key=lambda one: -one[0])]

    def _higher(self, feature: Feature, i: int) -> bool:
        """Whether the samples stand higher in the feature's bins than the reference, on average."""
        bins = np.arange(len(feature.counts))
        expected, actual = np.array(feature.counts), self._counts[i]
        return bool(bins @ actual / actual.sum() > bins @ expected / expected.sum())
