"""What responses are like whatever their references: distinct or stock, how long they are, how many are empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
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
    Weights,
    percent,
)
from efficient_empathy.evaluation.metrics.stock import (
    FIGURES,
    REUSED,
    TOP_OPENING,
    TOP_REPLY,
    Commonest,
    KeyCounts,
    Reused,
)
from efficient_empathy.evaluation.metrics.stock import keys_of as stock_keys_of
from efficient_empathy.evaluation.tokens import Ragged

_AT_ONCE = 2**24


class Distinct(Measured):
    """100 × distinct n-grams of all rows ÷ all of them: Dist-n (Li et al. 2016, doi:10.18653/v1/N16-1014).

    Exact under weights of 0 and 1; a row that counts twice adds to what is divided by alone.
    """

    repeatable = False

    def __init__(self, name: str, items: Ragged, order: int = 1, epsilon: float = 0.0) -> None:
        self.name = name
        self._items = items
        self._order = order
        self._epsilon = epsilon
        self._totals = np.maximum(items.lengths - order + 1, 0)

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`: `epsilon` is added above and below, as the released code does."""
        if weights is None:
            keys = keys_of(self._items, self._order)
            keys.sort()
            distinct = np.array([np.count_nonzero(keys[1:] != keys[:-1]) + (len(keys) > 0)], np.float64)
            totals = np.array([self._totals.sum()], np.float64)
        else:
            totals = weights @ self._totals
            rows, starts = self._occurrences
            distinct = np.zeros(len(weights))
            step = max(1, _AT_ONCE // max(1, len(rows)))
            for first in range(0, len(weights) if len(rows) else 0, step):
                there = (weights[first : first + step] > 0)[:, rows]
                distinct[first : first + step] = np.logical_or.reduceat(there, starts, axis=1).sum(axis=1)
        with np.errstate(invalid="ignore"):
            return {self.name: 100 * (distinct + self._epsilon) / (totals + self._epsilon)}

    @cached_property
    def _occurrences(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The row of every n-gram, those of one n-gram together, and where each begins."""
        keys = keys_of(self._items, self._order)
        order = np.argsort(keys, kind="stable")
        rows = np.repeat(np.arange(len(self._totals), dtype=np.int32), self._totals)[order]
        return rows, np.flatnonzero(np.diff(keys[order], prepend=-1))


class DistinctCount:
    """The same share of keys that come part by part; each distinct one is kept once."""

    def __init__(self, epsilon: float = 0.0) -> None:
        self._epsilon = epsilon
        self._keys = np.empty(0, np.int64)
        self._waiting: list[npt.NDArray[np.int64]] = []
        self._total = 0

    def add(self, keys: npt.NDArray[np.int64]) -> None:
        """Some more; they wait until they are enough to be worth a sort."""
        self._total += len(keys)
        self._waiting.append(keys)
        if sum(map(len, self._waiting)) > _AT_ONCE // 8:
            self._settle()

    @property
    def share(self) -> npt.NDArray[np.float64]:
        """100 × distinct ÷ all, shape (1,); nan of nothing."""
        self._settle()
        with np.errstate(invalid="ignore"):
            distinct, total = np.array([[len(self._keys)], [self._total]]) + self._epsilon
            share: npt.NDArray[np.float64] = 100 * distinct / total
        return share

    def _settle(self) -> None:
        self._keys = np.concatenate((self._keys, *self._waiting))
        self._waiting.clear()
        self._keys.sort()  # in place, as they may be very many
        first = np.ones(len(self._keys), bool)
        np.not_equal(self._keys[1:], self._keys[:-1], out=first[1:])
        self._keys = self._keys[first]


def keys_of(items: Ragged, order: int) -> npt.NDArray[np.int64]:
    """A number for every n-gram, row after row; n is 1 or 2."""
    keys: npt.NDArray[np.int64] = items.ids.astype(np.int64)
    if order == 1:
        return keys
    keys <<= 32
    keys[:-1] |= items.ids[1:]
    within = np.ones(len(keys), bool)
    within[np.cumsum(items.lengths)[items.lengths > 0] - 1] = False
    whole: npt.NDArray[np.int64] = keys[within]
    return whole


class Texts:
    """Shares of unique, stock and empty replies, mean length. A model that always answers the same can lead in BLEU, so
    these stand beside it (Li et al. 2016, doi:10.18653/v1/N16-1014, on safe replies).
    """

    name = "texts"
    columns: Sequence[str] = ()
    figures: Sequence[Figure] = (
        percent("unique", "higher", "different replies ÷ replies ×100, letter for letter; falls with N", digits=1),
        Figure("words", "neither", "mean length of a reply in words between blanks", digits=1),
        percent("empty", "lower", "replies without a word ×100"),
        *FIGURES,
    )
    of_replies_alone = True
    """References are measured as well, as if they were replies."""
    about: Mapping[str, Any] = {"words": "between blanks; a tokenised reply has more than the same one untokenised"}

    def __init__(self, options: MetricOptions) -> None:
        pass

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count."""
        replies = Ragged(rows["prediction"].rank("dense").to_numpy().astype(np.int32), np.ones(len(rows), np.int64))
        keys = stock_keys_of(rows)
        stock = [Commonest(name, keys[name]) for name in (TOP_REPLY, TOP_OPENING)]
        reused = Reused(keys[TOP_REPLY], rows["dialogue_id"])
        return CombinedCounts((Distinct("unique", replies), Sums(_counts(rows), _figures), *stock, reused))

    def tally(self) -> Tally:
        """See `Streaming`."""
        return _Tally()


class _Tally:
    """The sums of all rows so far, and a hash of every different reply."""

    def __init__(self) -> None:
        self._sums = np.zeros((1, 3))
        self._distinct = DistinctCount()
        self._keys = {name: KeyCounts() for name in (TOP_REPLY, TOP_OPENING)}

    def add(self, rows: pl.DataFrame) -> None:
        """See `Tally`: each row counts as a dialogue."""
        keys = stock_keys_of(rows)
        for name, counts in self._keys.items():
            counts.add(keys[name])
        self._sums += _counts(rows).sum(0)
        self._distinct.add(rows["prediction"].hash().reinterpret(signed=True).to_numpy())

    def values(self) -> Values:
        """See `Tally`."""
        rows = self._sums[:, 0]
        stock = {name: counts.most for name, counts in self._keys.items()} | {REUSED: self._keys[TOP_REPLY].repeated}
        with np.errstate(invalid="ignore"):
            shares = {name: 100 * count / rows for name, count in stock.items()}
        return {"unique": self._distinct.share, **_figures(self._sums), **shares}


def _counts(rows: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Shape (rows, 3): 1, words, whether there are none."""
    words = rows.select(pl.col("prediction").str.count_matches(r"\S+")).to_series().to_numpy()
    return np.column_stack((np.ones_like(words), words, words == 0)).astype(np.float64)


def _figures(sums: npt.NDArray[np.float64]) -> Values:
    rows, words, empty = sums.T
    with np.errstate(invalid="ignore"):
        return {"words": words / rows, "empty": 100 * empty / rows}
