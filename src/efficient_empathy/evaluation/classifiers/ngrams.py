"""Which words and pairs of words stand in a text, hashed, so that no text is kept."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.encoders import normalise

BUCKETS = 2**15
_TOKEN = re.compile(r"\w+|[^\w\s]")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grams:
    """Rows of sparse features: row i has `values[starts[i]:starts[i + 1]]` at the same places of `columns`."""

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: Floats

    def __len__(self) -> int:
        return len(self.starts) - 1

    def weighted(self, idf: Floats) -> Grams:
        """Each value times its column's `idf`, each row brought to length 1 (an empty one stays empty)."""
        values = self.values * idf[self.columns]
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        lengths = np.sqrt(np.bincount(rows, values**2, len(self)))
        return Grams(self.starts, self.columns, (values / np.maximum(lengths, 1e-12)[rows]).astype(np.float32))

    def idf(self) -> Floats:
        """log((1 + n) / (1 + rows with the column)) + 1; 0 for columns of fewer than two rows."""
        seen = np.bincount(self.columns, minlength=BUCKETS)
        return np.where(seen > 1, np.log((1 + len(self)) / (1 + seen)) + 1, 0).astype(np.float32)

    def take(self, rows: npt.NDArray[np.int64]) -> Grams:
        """The rows at these places, in that order."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], lengths.cumsum()])
        at = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Grams(starts, self.columns[at], self.values[at])

    def dot(self, weights: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The rows times `weights` (BUCKETS × k), as (rows × k)."""
        product = self.values[:, None] * weights[self.columns]
        cumulative = np.concatenate([np.zeros((1, product.shape[1])), product.cumsum(0, dtype=np.float64)])
        total: npt.NDArray[np.float64] = cumulative[self.starts[1:]] - cumulative[self.starts[:-1]]
        return total


def grams(texts: Sequence[str]) -> Grams:
    """1 + log(count) of every word, punctuation mark, and pair of neighbours, in normalised text, by CRC-32 bucket."""
    starts: list[int] = [0]
    columns: list[int] = []
    values: list[int] = []
    for text in texts:
        tokens = _TOKEN.findall(normalise(text))
        found = [*tokens, *(f"{a} {b}" for a, b in zip(["", *tokens], [*tokens, ""], strict=True))]
        counts = Counter(zlib.crc32(one.encode("utf-8", "surrogatepass")) % BUCKETS for one in found)
        columns += counts
        values += counts.values()
        starts.append(len(columns))
    counted = np.asarray(values, np.float32)
    return Grams(np.asarray(starts, np.int64), np.asarray(columns, np.int64), 1 + np.log(counted))
