"""What responses are like whatever was expected: how many are the same, how long they are, how many are empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import Figure, Joined, Measured, MetricOptions, Sums, Tally, Values
from efficient_empathy.evaluation.metrics.distinct import Distinct, Seen
from efficient_empathy.evaluation.tokens import Ragged


class Texts:
    """Share of unique replies, mean length, share of empty replies. A model that always answers the same can lead in
    BLEU, so these stand beside it (Li et al. 2016, doi:10.18653/v1/N16-1014, on safe replies).
    """

    name = "texts"
    columns: Sequence[str] = ()
    figures: Sequence[Figure] = (
        Figure("unique", "higher", "different replies ÷ replies ×100, letter for letter; falls with N", digits=1),
        Figure("words", "neither", "mean length of a reply in words between blanks", digits=1),
        Figure("empty", "lower", "replies without a word ×100"),
    )
    about: Mapping[str, Any] = {"words": "between blanks; a tokenised reply has more than the same one untokenised"}

    def __init__(self, options: MetricOptions) -> None:
        pass

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count."""
        replies = Ragged(rows["prediction"].rank("dense").to_numpy().astype(np.int32), np.ones(len(rows), np.int64))
        return Joined((Distinct("unique", replies), Sums(_counts(rows), _figures)))

    def tally(self) -> Tally:
        """See `Streaming`."""
        return _Tally()


class _Tally:
    """The sums of all rows so far, and a hash of every different reply."""

    def __init__(self) -> None:
        self._sums = np.zeros((1, 3))
        self._seen = Seen()

    def add(self, rows: pl.DataFrame) -> None:
        """See `Tally`."""
        self._sums += _counts(rows).sum(0)
        self._seen.add(rows["prediction"].hash().reinterpret(signed=True).to_numpy())

    def values(self) -> Values:
        """See `Tally`."""
        return {"unique": self._seen.share, **_figures(self._sums)}


def _counts(rows: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Shape (rows, 3): 1, words, whether there are none."""
    words = rows.select(pl.col("prediction").str.count_matches(r"\S+")).to_series().to_numpy()
    return np.column_stack((np.ones_like(words), words, words == 0)).astype(np.float64)


def _figures(sums: npt.NDArray[np.float64]) -> Values:
    rows, words, empty = sums.T
    with np.errstate(invalid="ignore"):
        return {"words": words / rows, "empty": 100 * empty / rows}
