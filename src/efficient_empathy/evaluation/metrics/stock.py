"""Stock replies: replies and openings that a model gives again and again, whatever it was told."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.metric import Measured, Values, Weights, percent
from efficient_empathy.foundation.statistics.measured import Floats

OPENING = 3
"""Words of an opening."""
TOP_REPLY, TOP_OPENING, REUSED = "top_reply", "top_opening", "reused"
FIGURES = (
    percent(
        TOP_REPLY, "lower", "the most frequent reply's share of all replies ×100; case and punctuation left out", 1
    ),
    percent(TOP_OPENING, "lower", f"the most frequent opening's share ×100: the first {OPENING} words of a reply", 1),
    percent(REUSED, "lower", "replies ×100 that another dialogue got as well; rises with N", 1),
)
_AT_ONCE = 2**24
_WORDS = pl.col("prediction").str.to_lowercase().str.extract_all(r"[\w']+")
_KEYS = {TOP_REPLY: _WORDS, TOP_OPENING: _WORDS.list.head(OPENING)}


def keys_of(rows: pl.DataFrame) -> pl.DataFrame:
    """By figure, what makes two rows' replies, or their openings, the same; null where there is no word."""
    return rows.select(
        pl.when(words.list.len() > 0).then(words.list.join(" ")).alias(name) for name, words in _KEYS.items()
    )


def commonest(rows: pl.DataFrame) -> dict[str, str]:
    """By figure, the reply, or the opening, that is given most often, as it is written there for the first time."""
    found = {}
    for name, keys in keys_of(rows).to_dict(as_series=True).items():
        counts = keys.drop_nulls().value_counts().sort("count", name, descending=[True, False])
        if len(counts):
            first = (keys == counts[name][0]).arg_max() or 0
            text = " ".join(rows["prediction"][first].split())
            found[name] = text if name == TOP_REPLY else " ".join(text.split()[:OPENING])
    return found


class Commonest(Measured):
    """100 × rows of the most frequent key ÷ all rows."""

    repeatable = False

    def __init__(self, name: str, keys: pl.Series) -> None:
        self.name, self._n = name, len(keys)
        self._rows, self._starts = _grouped(keys)

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`."""
        every = np.ones((1, self._n)) if weights is None else weights
        most = np.zeros(len(every))
        if len(self._rows):
            for part, draws in _parts(every, len(self._rows)):
                most[part] = np.add.reduceat(draws[:, self._rows], self._starts, axis=1).max(1)
        with np.errstate(invalid="ignore"):
            return {self.name: 100 * most / every.sum(1)}


class Reused(Measured):
    """100 × rows whose key stands in another dialogue as well ÷ all rows."""

    repeatable = False

    def __init__(self, keys: pl.Series, dialogues: pl.Series) -> None:
        self._n = len(keys)
        rows, starts = _grouped(keys)
        counts = np.diff(starts, append=len(rows))
        is_again = np.repeat(counts > 1, counts)  # what is said once is reused under no weights
        rows, key = rows[is_again], np.repeat(np.arange(len(counts)), counts)[is_again]
        dialogue = dialogues.rank("dense").to_numpy()[rows]
        order = np.lexsort((dialogue, key))
        self._rows, key, dialogue = rows[order], key[order], dialogue[order]
        is_new_key = np.diff(key, prepend=-1) != 0
        self._pairs = np.flatnonzero(is_new_key | (np.diff(dialogue, prepend=0) != 0))
        self._keys = np.flatnonzero(is_new_key[self._pairs])

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`."""
        every = np.ones((1, self._n)) if weights is None else weights
        reused = np.zeros(len(every))
        if len(self._rows):
            for part, draws in _parts(every, len(self._rows)):
                pairs = np.add.reduceat(draws[:, self._rows], self._pairs, axis=1)
                dialogues = np.add.reduceat(pairs > 0, self._keys, axis=1, dtype=np.int64)
                reused[part] = (np.add.reduceat(pairs, self._keys, axis=1) * (dialogues > 1)).sum(1)
        with np.errstate(invalid="ignore"):
            return {REUSED: 100 * reused / every.sum(1)}


class KeyCounts:
    """How often each key of parts that come one after another was there; 16 bytes of memory a different one."""

    def __init__(self) -> None:
        self._hashes, self._counts = np.empty(0, np.uint64), np.empty(0, np.int64)

    def add(self, keys: pl.Series) -> None:
        """Some more."""
        hashes = np.concatenate((self._hashes, keys.drop_nulls().hash().to_numpy()))
        counts = np.concatenate((self._counts, np.ones(len(hashes) - len(self._counts), np.int64)))
        self._hashes, place = np.unique(hashes, return_inverse=True)
        self._counts = np.bincount(place, weights=counts, minlength=len(self._hashes)).astype(np.int64)

    @property
    def most(self) -> int:
        """Rows of the most frequent key."""
        return int(self._counts.max(initial=0))

    @property
    def repeated(self) -> int:
        """Rows whose key another row has too."""
        return int(self._counts[self._counts > 1].sum())


def _grouped(keys: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows that have a key, those of one key together, and where each key begins."""
    rows = np.flatnonzero(keys.is_not_null().to_numpy())
    ranks = keys.drop_nulls().rank("dense").to_numpy()
    order = np.argsort(ranks, kind="stable")
    return rows[order], np.flatnonzero(np.diff(ranks[order].astype(np.int64), prepend=0))


def _parts(weights: Floats, width: int) -> list[tuple[slice, Floats]]:
    """The draws in parts that need not too much memory at once."""
    step = max(1, _AT_ONCE // max(1, width))
    return [(slice(at, at + step), weights[at : at + step]) for at in range(0, len(weights), step)]
