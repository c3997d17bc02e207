"""The released code's ROUGE: on normalised text, its F1 of every row averaged."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.metrics.ngrams import shared
from efficient_empathy.evaluation.tokens import Ragged, Vocabulary

_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\]\\^`{|}~_']""")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_EMPTY = ""


def normalised(token: str) -> list[str]:
    """The words of a lower-cased token once punctuation and articles are blanks: `don't` → don, t; `the` → none."""
    return _ARTICLES.sub(" ", _PUNCTUATION.sub(" ", token)).split()


class Normaliser:
    """Official tokens to the words that ROUGE counts. A text without any is one empty word, as in the released code."""

    def __init__(self, tokens: Vocabulary) -> None:
        self._tokens = tokens
        self._words = Vocabulary({_EMPTY: 0})
        self._flat = np.empty(0, np.int32)
        self._lengths = np.empty(0, np.int64)

    def __call__(self, texts: Ragged) -> Ragged:
        """The normalised words of each text."""
        self._extend()
        starts = np.cumsum(self._lengths) - self._lengths
        counts = self._lengths[texts.ids]
        ends = np.cumsum(counts)
        offsets = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        ids = self._flat[np.repeat(starts[texts.ids], counts) + offsets]
        lengths = np.bincount(texts.rows, weights=counts, minlength=len(texts.lengths)).astype(np.int64)
        bare = np.flatnonzero(lengths == 0)
        ids = np.insert(ids, np.cumsum(lengths)[bare], self._words[_EMPTY])
        return Ragged(ids, np.maximum(lengths, 1))

    def _extend(self) -> None:
        """Take in the tokens that are new since the last time."""
        new = list(self._tokens)[len(self._lengths) :]
        added = Ragged.of([[self._words[word] for word in normalised(token)] for token in new])
        self._flat = np.concatenate((self._flat, added.ids))
        self._lengths = np.concatenate((self._lengths, added.lengths))


def f_measures(predictions: Ragged, references: Ragged) -> npt.NDArray[np.float64]:
    """ROUGE-1, -2 and -L F1 of every row, shape (rows, 3) (Lin 2004, aclanthology.org/W04-1013)."""
    common = shared(predictions, references, 2, subsequence=True)
    found = np.zeros((len(predictions.lengths), 3))
    for column, less in enumerate((0, 1, 0)):
        matches = common.longest if column == 2 else common.matches[:, column]
        precision = matches / np.maximum(predictions.lengths - less, 1)
        recall = matches / np.maximum(references.lengths - less, 1)
        total = precision + recall
        np.divide(2 * precision * recall, total, out=found[:, column], where=total > 0)
    return found
