"""Figures as the field's standard libraries compute them, and n-gram overlap, BLEU and ROUGE of all rows at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values, percent
from efficient_empathy.evaluation.tokens import Ragged, Vocabulary
from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.statistics.measured import Floats

Counts = npt.NDArray[np.int64]
_WORD = 64
_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\]\\^`{|}~_']""")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_EMPTY = ""


@dataclass(frozen=True)
class Overlap:
    """What predictions and references have in common, row by row."""

    matches: Counts
    """Shape (rows, orders): n-grams of the prediction that the reference has too, each at most as often as there."""
    longest: Counts | None
    """Shape (rows,): the length of the longest common subsequence; None if not asked for."""


def overlap(predictions: Ragged, references: Ragged, orders: int, *, subsequence: bool = False) -> Overlap:
    """The clipped n-gram matches of orders 1 to `orders` (Papineni et al. 2002), and the longest common subsequence.

    An n-gram can only match where both (n-1)-grams in it do, so each order looks at what is left of the one before.
    """
    rows, split = len(predictions.lengths), len(predictions.ids)
    ids = np.concatenate((predictions.ids, references.ids)).astype(np.int64)
    text = np.concatenate((predictions.rows, references.rows + rows))
    width = int(ids.max(initial=0)) + 1
    positions = np.arange(len(ids))
    keys = text % max(1, rows) * width + ids
    matches = np.zeros((rows, orders), np.int64)
    longest = None
    for order in range(orders):
        grams, which = np.unique(keys, return_inverse=True)
        predicted = int(np.searchsorted(positions, split))
        clipped = np.minimum(
            np.bincount(which[:predicted], minlength=len(grams)), np.bincount(which[predicted:], minlength=len(grams))
        )
        row_of = np.empty(len(grams), np.int64)
        row_of[which] = text[positions] % max(1, rows)
        matches[:, order] = np.bincount(row_of, weights=clipped, minlength=rows)
        is_common = clipped[which] > 0
        positions, which = positions[is_common], which[is_common]
        if order == 0 and subsequence:
            longest = _longest(which, text[positions], rows)
        if order + 1 < orders:
            follows = np.flatnonzero(np.diff(positions) == 1)
            follows = follows[text[positions[follows]] == text[positions[follows] + 1]]
            positions, which = positions[follows], which[follows]
            keys = which * width + ids[positions + order + 1]
    return Overlap(matches, longest)


def _longest(tokens: Counts, text: Counts, rows: int) -> Counts:
    """The longest common subsequences of what occurs on both sides.

    `tokens` (shape (k,)) are numbered so that rows share none; `text` is the row of each, of references plus `rows`.
    All rows go forward together, one token of the prediction a step, the reference as the bits of one word (Hyyrö
    2004, "Bit-parallel LCS-length computation revisited"); a row with more than 64 such tokens goes by itself.
    """
    lengths = np.bincount(text, minlength=2 * rows)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    split = int(lengths[:rows].sum())
    of_predictions, of_references = lengths[:rows], lengths[rows:]
    place = np.arange(split, len(tokens)) - starts[text[split:]]
    masks = np.zeros(int(tokens.max(initial=-1)) + 1, np.uint64)
    fits = place < _WORD
    np.bitwise_or.at(masks, tokens[split:][fits], np.uint64(1) << place[fits].astype(np.uint64))
    order = np.argsort(-of_predictions, kind="stable")
    steps, begins = of_predictions[order], starts[:rows][order]
    state = np.full(rows, ~np.uint64(0))
    active = rows
    for step in range(int(steps.max(initial=0))):
        active = int(np.searchsorted(-steps[:active], -step, side="left"))
        now = state[:active]
        both = now & masks[tokens[begins[:active] + step]]
        state[:active] = (now + both) | (now - both)
    longest = np.empty(rows, np.int64)
    longest[order] = np.bitwise_count(~state)
    for row in np.flatnonzero(of_references > _WORD):
        at, to = starts[row], starts[row + rows]
        longest[row] = _by_itself(
            tokens[at : at + of_predictions[row]].tolist(), tokens[to : to + of_references[row]].tolist()
        )
    return longest


def _by_itself(prediction: list[int], reference: list[int]) -> int:
    masks: dict[int, int] = {}
    for place, token in enumerate(reference):
        masks[token] = masks.get(token, 0) | 1 << place
    every = (1 << len(reference)) - 1
    state = every
    for token in prediction:
        both = state & masks.get(token, 0)
        state = ((state + both) | (state - both)) & every
    return len(reference) - state.bit_count()


def bleu(matches: Floats, totals: Floats, lengths: Floats, reference_lengths: Floats) -> Floats:
    """BLEU of orders 1 to n with uniform weights, each a share of 1.

    `matches` and `totals` are sums over rows, shape (draws, n); the lengths have shape (draws,). Without any match of
    some order, BLEU of it and higher ones is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.log(np.where(totals > 0, matches / totals, 0.0))
        means = np.cumsum(precisions, axis=1) / np.arange(1, matches.shape[1] + 1)
        penalty = np.where(lengths < reference_lengths, np.exp(1 - reference_lengths / lengths), 1.0)
    scores: Floats = np.exp(means) * np.where(lengths > 0, penalty, 0.0)[:, None]
    return scores


def normalise(token: str) -> list[str]:
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
        rows = Ragged.of([[self._words[word] for word in normalise(token)] for token in new])
        self._flat = np.concatenate((self._flat, rows.ids))
        self._lengths = np.concatenate((self._lengths, rows.lengths))


def f_measures(predictions: Ragged, references: Ragged) -> npt.NDArray[np.float64]:
    """ROUGE-1, -2 and -L F1 of every row, shape (rows, 3) (Lin 2004, aclanthology.org/W04-1013)."""
    common = overlap(predictions, references, 2, subsequence=True)
    scores = np.zeros((len(predictions.lengths), 3))
    for column, less in enumerate((0, 1, 0)):
        matches = common.longest if column == 2 else common.matches[:, column]
        precision = matches / np.maximum(predictions.lengths - less, 1)
        recall = matches / np.maximum(references.lengths - less, 1)
        total = precision + recall
        np.divide(2 * precision * recall, total, out=scores[:, column], where=total > 0)
    return scores


_ORDERS = 4
_ROUGE = ("rouge1", "rouge2", "rougeL")
_ROWS = 20_000


class Standard:
    """BLEU by sacrebleu, ROUGE by rouge-score with their own tokenisation, and BLEU as `multi-bleu.perl -lc` has it.

    sacrebleu (Post 2018, doi:10.18653/v1/W18-6319) by its defaults: 13a, case kept, exponential smoothing; its
    signature is in `about`. rouge-score by its defaults, which stem nothing: lower case, letters and digits alone.
    multi-bleu counts what stands between blanks, lower-cased, without smoothing: MoEL, MIME and others report it.
    """

    name = "standard"
    columns: Sequence[str] = ()
    figures: Sequence[Figure] = (
        percent("sacrebleu", "higher", "BLEU-4 by sacrebleu with its defaults; the signature says which"),
        percent("multibleu", "higher", "BLEU-4 of words between blanks, as multi-bleu.perl -lc"),
        *(
            percent(f"{name}_score", "higher", f"mean {name} F1 ×100 by rouge-score with its defaults")
            for name in _ROUGE
        ),
    )

    def __init__(self, options: MetricOptions) -> None:
        try:
            from rouge_score.rouge_scorer import RougeScorer
            from sacrebleu.metrics.bleu import BLEU
        except ImportError as error:
            raise missing_extra("the metric standard", "eval") from error
        self._bleu = BLEU()
        self._rouge = RougeScorer([*_ROUGE])
        self._bleu.corpus_score(["a b c d"], [["a b c d"]])  # the signature is known from the first use on
        self.about: Mapping[str, Any] = {
            "sacrebleu": str(self._bleu.get_signature()),
            "rouge_score": f"rouge-score {version('rouge-score')}, no stemming",
        }

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count."""
        counts = [np.empty((0, 4 * _ORDERS + 8))]
        for part in rows.select("prediction", "reference").iter_slices(_ROWS):
            predictions, references = part["prediction"].to_list(), part["reference"].to_list()
            counts.append(
                np.hstack(
                    (
                        np.array([*map(self._bleu_counts, predictions, references)], np.float64),
                        _split_counts(predictions, references),
                        np.array([*map(self._f_measures, predictions, references)], np.float64),
                        np.ones((len(part), 1)),
                    )
                )
            )
        return Sums(np.concatenate(counts), self._figures)

    def _bleu_counts(self, prediction: str, reference: str) -> list[float]:
        score = self._bleu.corpus_score([prediction], [[reference]])
        return [score.sys_len, score.ref_len, *score.counts, *score.totals]

    def _f_measures(self, prediction: str, reference: str) -> list[float]:
        scores = self._rouge.score(reference, prediction)
        return [scores[name].fmeasure for name in _ROUGE]

    def _figures(self, sums: Floats) -> Values:
        sacrebleu, plain, rouge = np.split(sums, (2 * _ORDERS + 2, 4 * _ORDERS + 4), axis=1)
        lengths, reference_lengths, matches, totals = _parts_of(plain)
        with np.errstate(invalid="ignore"):
            means = 100 * rouge[:, :-1] / rouge[:, -1:]
        return {
            "sacrebleu": np.array([self._sacrebleu(row) for row in sacrebleu]),
            "multibleu": 100 * bleu(matches, totals, lengths, reference_lengths)[:, -1],
            **{f"{name}_score": means[:, i] for i, name in enumerate(_ROUGE)},
        }

    def _sacrebleu(self, sums: Floats) -> float:
        length, reference_length, matches, totals = _parts_of(sums)
        score = self._bleu.compute_bleu(
            correct=matches.tolist(), total=totals.tolist(), sys_len=round(float(length)),
            ref_len=round(float(reference_length)),
            smooth_method=self._bleu.smooth_method, smooth_value=self._bleu.smooth_value,
        )  # fmt: skip
        return float(score.score)


def _parts_of(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Lengths, references' lengths, matches and n-grams of BLEU."""
    return sums[..., 0], sums[..., 1], sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]


def _split_counts(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """Shape (rows, 10): what `_parts_of` takes apart, of words between blanks, lower-cased."""
    words = Vocabulary()
    ours, theirs = (Ragged.of([[words[w] for w in t.lower().split()] for t in ts]) for ts in (predictions, references))
    lengths = ours.lengths[:, None]
    totals = np.maximum(lengths - np.arange(_ORDERS), 0)
    columns = (lengths, theirs.lengths[:, None], overlap(ours, theirs, _ORDERS).matches, totals)
    return np.hstack(columns).astype(np.float64)
