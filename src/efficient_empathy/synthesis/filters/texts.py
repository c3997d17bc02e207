"""Texts as filters compare them: their words, without case, punctuation and contractions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.encoders import normalise
from efficient_empathy.synthesis.candidate import Candidate

_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+(?:'[^\W\d_]+)?"
)
"""A word, or one letter of a script that is written without spaces."""


def words_of(text: str) -> list[str]:
    """The words of a text, lower case; "I'm" is "i am"."""
    return _WORD.findall(normalise(text))


def plain(text: str) -> str:
    """The words in a line: two texts that differ in case, punctuation or contractions alone are one."""
    return " ".join(words_of(text))


def samples_of(candidates: Iterable[Candidate]) -> list[Sample]:
    """The samples of candidates that the filter of formats has let pass: each has one."""
    samples = [candidate.sample for candidate in candidates]
    return [sample for sample in samples if sample is not None]


def runs(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    """Every `length` words in a row."""
    return set(zip(*(words[start:] for start in range(length)), strict=False))


def joined(turns: Iterable[Utterance]) -> str:
    """The texts of turns, a line each."""
    return "\n".join(turn.text for turn in turns)


def listener_texts(sample: Sample) -> list[str]:
    """All that the listener says: the turns of the context, then the response."""
    return [*(turn.text for turn in sample.context if turn.role == "listener"), sample.response]
