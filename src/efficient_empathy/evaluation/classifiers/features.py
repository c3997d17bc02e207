"""What a classifier reads in a context and a response: states of the embedded encoder, and hashed words. No torch."""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.encoders import PairTokenizer, normalise, open_session, pad
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.scoring.judges.distilled import BUNDLED

Floats = npt.NDArray[np.float32]
Pair = tuple[Sequence[str], str]
"""The turns of a context, speaker first (none where a text is read alone), and the response or text."""

LAYERS = (2, 4)
"""The third and the fifth of the encoder's six layers: later ones know less that the judge was not asked for."""
STATES = "/encoder/encoder/layer.{}/output/LayerNorm/LayerNormalization_output_0"
MAX_TOKENS = 256

BUCKETS = 2**15
"""Of hashed words, so that no text is kept."""
_TOKEN = re.compile(r"\w+|[^\w\s]")


class LayerEncoder:
    """Pooled states of the judge's encoder: of each of `LAYERS` that of [CLS], and over the response their mean and
    maximum; with `context` also the mean over the context.
    """

    def __init__(self, *, context: bool, folder: Path = BUNDLED) -> None:
        self._context = context
        self._folder = folder
        self._tokenizer = PairTokenizer(folder / "tokenizer.json", MAX_TOKENS)

    @cached_property
    def hash(self) -> str:
        """What the encoder is known by: features of another one mean something else."""
        return file_hash(self._folder / "model.onnx")[:16]

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return open_session(self._folder, self._outputs)

    @property
    def _outputs(self) -> list[str]:
        return [STATES.format(layer) for layer in LAYERS]

    def __call__(self, pairs: Sequence[Pair], on_pair: Callable[[int], None] = lambda done: None) -> Floats:
        """The features, (pairs × `width`) float32, in order; `on_pair` gets how many are done."""
        samples = [
            Sample("", "", 0, tuple(Utterance("speaker", text) for text in context), response)
            for context, response in pairs
        ]
        rows: list[Floats] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for row in pool.map(self._one, self._tokenizer(samples)):
                rows.append(row)
                on_pair(len(rows))
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def _one(self, tokens: tuple[list[int], int]) -> Floats:
        ids, boundary = tokens
        states = self._session.run(self._outputs, pad([tokens]))
        return np.concatenate([part for state in states for part in self._pool(state[0], boundary, len(ids) - 1)])

    def _pool(self, state: Floats, boundary: int, end: int) -> list[Floats]:
        """Of an empty response its closing [SEP] stands for it; of an empty context the [SEP] after it."""
        response = state[boundary : max(end, boundary + 1)]
        parts = [state[0], response.mean(0), response.max(0)]
        return [*parts, state[1 : max(2, boundary - 1)].mean(0)] if self._context else parts


@dataclass(frozen=True)
class Grams:
    """Rows of sparse features, hashed words and pairs of words.

    Row i has `values[starts[i]:starts[i + 1]]` at the same places of `columns`.
    """

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: Floats

    def __len__(self) -> int:
        return len(self.starts) - 1

    def weigh(self, idf: Floats) -> Grams:
        """Each value times its column's `idf`, each row brought to length 1 (an empty one stays empty)."""
        values = self.values * idf[self.columns]
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        lengths = np.sqrt(np.bincount(rows, values**2, len(self)))
        return Grams(self.starts, self.columns, (values / np.maximum(lengths, 1e-12)[rows]).astype(np.float32))

    def idf(self) -> Floats:
        """log((1 + n) / (1 + rows with the column)) + 1; 0 for columns of fewer than two rows."""
        rows = np.bincount(self.columns, minlength=BUCKETS)
        return np.where(rows > 1, np.log((1 + len(self)) / (1 + rows)) + 1, 0).astype(np.float32)

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
        words = [*tokens, *(f"{a} {b}" for a, b in zip(["", *tokens], [*tokens, ""], strict=True))]
        counts = Counter(zlib.crc32(one.encode("utf-8", "surrogatepass")) % BUCKETS for one in words)
        columns += counts
        values += counts.values()
        starts.append(len(columns))
    occurrences = np.asarray(values, np.float32)
    return Grams(np.asarray(starts, np.int64), np.asarray(columns, np.int64), 1 + np.log(occurrences))


@dataclass(frozen=True)
class Features:
    """Rows as a classifier reads them: standardised states of the encoder, and hashed words."""

    dense: Floats
    sparse: Grams

    def take(self, rows: npt.NDArray[np.int64]) -> Features:
        """The features of some rows."""
        return Features(self.dense[rows], self.sparse.take(rows))


@dataclass(frozen=True)
class Scale:
    """What the training rows say about features: mean and spread of the states, rarity of the words."""

    mean: Floats
    std: Floats
    idf: Floats

    @classmethod
    def of(cls, features: Features) -> Scale:
        """Of training rows."""
        std = features.dense.std(0)
        return cls(features.dense.mean(0), np.where(std > 1e-6, std, 1).astype(np.float32), features.sparse.idf())

    def __call__(self, features: Features) -> Features:
        """States to mean 0 and an expected squared length of 1, words to length 1: both weigh alike."""
        dense = (features.dense - self.mean) / (self.std * np.float32(np.sqrt(features.dense.shape[1])))
        return Features(dense, features.sparse.weigh(self.idf))


def features_of(
    encoder: LayerEncoder, pairs: Sequence[Pair], on_pair: Callable[[int], None] = lambda done: None
) -> Features:
    """Raw features of contexts and responses."""
    return Features(encoder(pairs, on_pair), grams([response for _, response in pairs]))
