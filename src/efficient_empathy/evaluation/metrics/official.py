"""The ten figures of the paper's released code (empathy/metrics.py in Aurora-slz/Efficient-Empathy), to 6 decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import (
    CombinedCounts,
    Figure,
    Measured,
    MetricOptions,
    Sums,
    Tally,
    Values,
    percent,
)
from efficient_empathy.evaluation.metrics.standard import Normaliser, bleu, f_measures, overlap
from efficient_empathy.evaluation.metrics.texts import Distinct, DistinctCount, keys_of
from efficient_empathy.evaluation.tokens import Encoder, Ragged, splitter

_ROWS = 20_000
_ORDERS = 4
_BLEU_EPSILON, _F1_EPSILON, _DISTINCT_EPSILON = 1e-12, 1e-8, 1e-5
_SOURCE = "as in the released code"


class Official:
    """BLEU-1..4, ROUGE-1/2/L, corpus F1 and Dist-1/2 on lower-cased Treebank words of sentences.

    BLEU is NLTK's `corpus_bleu` with uniform weights and method 1 of smoothing with ε 1e-12: a prediction of fewer than
    n words adds 1 to the n-grams that are divided by, and if nothing matches at all, BLEU is 0. See `docs/metrics.md`.
    """

    name = "official"
    columns: Sequence[str] = ()
    figures: Sequence[Figure] = (
        percent("cf1", "higher", f"token F1 over all rows ×100, {_SOURCE}"),
        *(percent(f"bleu{n}", "higher", f"corpus BLEU-{n} ×100, {_SOURCE}") for n in range(1, _ORDERS + 1)),
        percent("dist1", "higher", f"distinct words ÷ words ×100, {_SOURCE}; falls with N"),
        percent("dist2", "higher", f"distinct bigrams ÷ bigrams ×100, {_SOURCE}; falls with N"),
        *(percent(f"rouge{n}", "higher", f"mean ROUGE-{n} F1 ×100, {_SOURCE}") for n in ("1", "2", "L")),
    )

    def __init__(self, options: MetricOptions) -> None:
        split, splitter_name = splitter(options.splitter)
        self.about: Mapping[str, Any] = {
            "splitter": splitter_name,
            "words": "lower-cased, Penn Treebank, as NLTK's word_tokenize",
            "source": "Aurora-slz/Efficient-Empathy, empathy/metrics.py",
        }
        self._encode = Encoder(split)
        self._normalise = Normaliser(self._encode.vocabulary)

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count, some thousand rows at a time."""
        counts = np.empty((len(rows), 2 * _ORDERS + 6))
        ids = [np.empty(0, np.int32)]
        lengths = np.empty(len(rows), np.int64)
        for first, (predictions, references) in zip(range(0, len(rows), _ROWS), self.token_rows(rows), strict=False):
            counts[first : first + _ROWS] = self.count(predictions, references)
            ids.append(predictions.ids)
            lengths[first : first + _ROWS] = predictions.lengths
        words = Ragged(np.concatenate(ids), lengths)
        return CombinedCounts(
            (
                Sums(counts, _figures),
                Distinct("dist1", words, 1, _DISTINCT_EPSILON),
                Distinct("dist2", words, 2, _DISTINCT_EPSILON),
            )
        )

    def tally(self) -> Tally:
        """See `Streaming`."""
        return _Tally(self)

    def token_rows(self, rows: pl.DataFrame) -> Iterator[tuple[Ragged, Ragged]]:
        """The tokens of predictions and references, some thousand rows at a time."""
        for part in rows.iter_slices(_ROWS):
            yield self._encode(part["prediction"]), self._encode(part["reference"])

    def count(self, predictions: Ragged, references: Ragged) -> npt.NDArray[np.float64]:
        """Shape (rows, 14): 1, both lengths, matches and n-grams of each order, the three ROUGEs."""
        lengths = predictions.lengths[:, None]
        return np.hstack(
            (
                np.ones_like(lengths),
                lengths,
                references.lengths[:, None],
                overlap(predictions, references, _ORDERS).matches,
                np.maximum(lengths - np.arange(_ORDERS), 1),
                f_measures(self._normalise(predictions), self._normalise(references)),
            )
        )


class _Tally:
    """The sums of all rows so far, and the words and bigrams of predictions."""

    def __init__(self, metric: Official) -> None:
        self._metric = metric
        self._sums = np.zeros((1, 2 * _ORDERS + 6))
        self._distinct = {order: DistinctCount(_DISTINCT_EPSILON) for order in (1, 2)}

    def add(self, rows: pl.DataFrame) -> None:
        """See `Tally`."""
        for predictions, references in self._metric.token_rows(rows):
            self._sums += self._metric.count(predictions, references).sum(0)
            for order, distinct in self._distinct.items():
                distinct.add(keys_of(predictions, order))

    def values(self) -> Values:
        """See `Tally`."""
        return {
            **_figures(self._sums),
            **{f"dist{order}": distinct.share for order, distinct in self._distinct.items()},
        }


def _figures(sums: npt.NDArray[np.float64]) -> Values:
    rows, lengths, reference_lengths = sums[:, :3].T
    matches, totals, rouge = np.split(sums[:, 3:], (_ORDERS, 2 * _ORDERS), axis=1)
    hits = matches[:, 0] + _F1_EPSILON
    precision, recall = hits / (lengths + _F1_EPSILON), hits / (reference_lengths + _F1_EPSILON)
    scores = bleu(np.where(matches == 0, _BLEU_EPSILON, matches), totals, lengths, reference_lengths)
    scores[matches[:, 0] == 0] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        means = rouge / rows[:, None]
    shares = {
        "cf1": 2 * precision * recall / (precision + recall),
        **{f"bleu{n + 1}": scores[:, n] for n in range(_ORDERS)},
        **{f"rouge{n}": means[:, i] for i, n in enumerate(("1", "2", "L"))},
    }
    return {name: 100 * share for name, share in shares.items()}
