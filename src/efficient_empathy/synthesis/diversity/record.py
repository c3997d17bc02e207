"""What `synthesis/diversity.json` has: how far samples lie apart before and after thinning, and in a random subset."""

from __future__ import annotations

from typing import ClassVar, Literal

from efficient_empathy.foundation.run.record import Number, Part, Record

Method = Literal["k_center", "facility_location"]


class Spread(Part):
    """How far the samples of a set lie apart, in meaning and in words. None where it cannot be told."""

    samples: int
    distance: Number
    """The mean cosine distance of two samples, from 0 (all the same) to 1 (nothing in common), exact."""
    covered: int
    """Of the clusters of all samples, those that have one in the set."""
    self_bleu: Number
    """The mean BLEU of a response against all others of the texts, ×100: the lower, the more they differ
    (Zhu et al. 2018, Texygen)."""
    distinct1: Number
    """Different words ÷ all words of the texts, ×100 (Li et al. 2016)."""
    distinct2: Number
    """The same of pairs of words."""


class DiversityRecord(Record):
    """What thinning did: all samples, those that were kept, and as many drawn at random."""

    PLACE: ClassVar[str] = "synthesis/diversity.json"
    REMEDY: ClassVar[str] = "`efficient-empathy synthesize`"

    method: Method
    real: int
    """Real samples that thinning counts as picked: what is far from them comes first."""
    radius: Number
    """No sample is farther from its nearest kept or real one than this: the Euclidean distance of unit vectors, from 0
    to 2. None for facility location."""
    encoder: str
    """What the vectors are from."""
    clusters: int
    """How many clusters all samples were put into (spherical k-means)."""
    texts: int
    """Responses of each set that the figures of words are from; they depend on this number."""
    self_bleu: str
    """sacrebleu's signature, or why there is no Self-BLEU."""
    all: Spread
    kept: Spread
    random: Spread
    """As many as were kept, drawn from all."""


def diversity_table(record: DiversityRecord) -> list[str]:
    """The record in words, a line each."""
    sets = (("all", record.all), ("kept", record.kept), ("random", record.random))
    lines = [f"{'':8}{'samples':>9}{'distance':>10}{'clusters':>10}{'Self-BLEU':>11}{'Dist-1':>8}{'Dist-2':>8}"]
    for name, spread in sets:
        clusters = f"{spread.covered}/{record.clusters}"
        lines.append(
            f"{name:8}{spread.samples:>9,}{_text(spread.distance, 3):>10}{clusters:>10}{_text(spread.self_bleu, 1):>11}"
            f"{_text(spread.distinct1, 1):>8}{_text(spread.distinct2, 1):>8}"
        )
    return lines


def _text(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
