"""How many samples look as if they held personal data: one first test for many texts at a time, then the scan."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import cast

import polars as pl

from efficient_empathy.dialogues.personal_data.scan import CUES, KINDS, PersonalKind, personal_findings
from efficient_empathy.dialogues.sample import Sample

_MOST_SAMPLES, _MOST_CHARACTERS = 1024, 1 << 22
_MAYBE = "|".join(
    (
        r"(?i)[@＠_]|\d(?:\D{0,4}\d){4}|[0-9a-f]:[0-9a-f]*:[0-9a-f]|#\d{4}|\big\b|[\[({<] ?at",
        *map(re.escape, CUES),
    )
)
"""Stands, for polars, in every text that `personal_findings` finds something in."""


def kinds_of_texts(texts: pl.Series) -> dict[str, Counter[PersonalKind]]:
    """By text how often each kind stands in it; texts that hold nothing are absent."""
    kinds_by_text = {}
    for text in texts.filter(texts.str.contains(_MAYBE)).to_list():
        if findings := personal_findings(text):
            kinds_by_text[text] = Counter(one.kind for one in findings)
    return kinds_by_text


class PersonalCounter:
    """Counts samples, and what they hold, by kind. It holds some samples back to look at them together."""

    def __init__(self) -> None:
        self._waiting: list[list[str]] = []
        self._characters = 0
        self._samples_by_kind: Counter[PersonalKind] = Counter()
        self._findings_by_kind: Counter[PersonalKind] = Counter()
        self._samples = 0

    def add(self, sample: Sample) -> None:
        """Take note of a sample."""
        texts = sample.texts()
        self._waiting.append(texts)
        self._characters += sum(map(len, texts))
        if len(self._waiting) >= _MOST_SAMPLES or self._characters >= _MOST_CHARACTERS:
            self._look()

    @property
    def samples(self) -> int:
        """Samples with personal data of any kind."""
        self._look()
        return self._samples

    @property
    def samples_by_kind(self) -> dict[str, int]:
        """By kind the samples that look as if they held such data; kinds of no sample are absent."""
        self._look()
        return {kind: self._samples_by_kind[kind] for kind in KINDS if self._samples_by_kind[kind]}

    @property
    def findings_by_kind(self) -> Mapping[PersonalKind, int]:
        """By kind how often such data stand in the samples; kinds of no sample are absent."""
        self._look()
        return {kind: self._findings_by_kind[kind] for kind in KINDS if self._findings_by_kind[kind]}

    def _look(self) -> None:
        kinds_by_text = kinds_of_texts(pl.Series(list(set().union(*self._waiting)), dtype=pl.String))
        for sample_texts in self._waiting if kinds_by_text else ():
            counts = sum(
                (kinds_by_text[text] for text in sample_texts if text in kinds_by_text), Counter[PersonalKind]()
            )
            self._samples += bool(counts)
            self._samples_by_kind.update(counts.keys())
            self._findings_by_kind.update(counts)
        self._waiting.clear()
        self._characters = 0


def counts_text(samples: int, samples_by_kind: Mapping[str, int]) -> str:
    """How many samples look as if they held personal data, and by kind, the most frequent first."""
    if not samples:
        return "no sample looks as if it held any"
    ordered = sorted(samples_by_kind.items(), key=lambda item: -item[1])
    kinds = ", ".join(f"{KINDS[cast(PersonalKind, kind)]} {count:,}" for kind, count in ordered)
    return (
        f"{samples:,} samples look as if they held some: {kinds}"
        if samples > 1
        else f"1 sample looks as if it held some: {kinds}"
    )
