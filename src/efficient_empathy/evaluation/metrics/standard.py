"""The same kinds of figures as the field's standard libraries compute them, and the BLEU of the published baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values
from efficient_empathy.evaluation.metrics.ngrams import bleu, overlap
from efficient_empathy.evaluation.tokens import Ragged, Vocabulary
from efficient_empathy.foundation.errors import missing_extra
from efficient_empathy.foundation.statistics.measured import Floats

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
        Figure("sacrebleu", "higher", "BLEU-4 by sacrebleu with its defaults; the signature says which"),
        Figure("multibleu", "higher", "BLEU-4 of words between blanks, as multi-bleu.perl -lc"),
        *(
            Figure(f"{name}_score", "higher", f"mean {name} F1 ×100 by rouge-score with its defaults")
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
        lengths, reference_lengths, matches, totals = _parted(plain)
        with np.errstate(invalid="ignore"):
            means = 100 * rouge[:, :-1] / rouge[:, -1:]
        return {
            "sacrebleu": np.array([self._sacrebleu(row) for row in sacrebleu]),
            "multibleu": 100 * bleu(matches, totals, lengths, reference_lengths)[:, -1],
            **{f"{name}_score": means[:, i] for i, name in enumerate(_ROUGE)},
        }

    def _sacrebleu(self, sums: Floats) -> float:
        length, reference_length, matches, totals = _parted(sums)
        score = self._bleu.compute_bleu(
            correct=matches.tolist(), total=totals.tolist(), sys_len=round(float(length)),
            ref_len=round(float(reference_length)),
            smooth_method=self._bleu.smooth_method, smooth_value=self._bleu.smooth_value,
        )  # fmt: skip
        return float(score.score)


def _parted(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Lengths, references' lengths, matches and n-grams of BLEU."""
    return sums[..., 0], sums[..., 1], sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]


def _split_counts(predictions: Sequence[str], references: Sequence[str]) -> Floats:
    """Shape (rows, 10): what `_parted` parts, of words between blanks, lower-cased."""
    words = Vocabulary()
    ours, theirs = (Ragged.of([[words[w] for w in t.lower().split()] for t in ts]) for ts in (predictions, references))
    lengths = ours.lengths[:, None]
    totals = np.maximum(lengths - np.arange(_ORDERS), 0)
    counted = (lengths, theirs.lengths[:, None], overlap(ours, theirs, _ORDERS).matches, totals)
    return np.hstack(counted).astype(np.float64)
