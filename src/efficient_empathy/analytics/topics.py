"""Topics: dialogues whose speakers talk of alike things, and the words that tell each topic from the others.

A text is a vector: the mean of the embedded encoder's own word vectors, with no torch and no network. The judge's
ONNX model gives out the vectors of word pieces before its first layer, which its training has changed the least;
frequent pieces weigh less (smooth inverse frequency: Arora, Liang & Ma 2017). Each distinct piece goes through the
model once, so a run of any size costs some seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from efficient_empathy.analytics.table import Codes, Labels, Words, words
from efficient_empathy.encoders import normalise, open_session
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.scoring.judges.distilled import BUNDLED

Vectors = npt.NDArray[np.float32]
SMOOTHING = 1e-3
"""Pieces of this share of all text weigh half."""
_PIECES = "/encoder/embeddings/LayerNorm/LayerNormalization_output_0"
_BATCH = 512
_TEXTS = 4096
_CHARACTERS = 2000
PER_TOPIC, FEWEST, MOST = 25, 2, 20
MOST_FITTED = 10_000
"""On more dialogues than these the centres are fitted on so many of them, drawn with the seed; all are assigned."""
TELLING, IN_NAME = 10, 3
STARTS, STEPS = 4, 40
_COMMON = 0.2
"""Words in a larger share of dialogues tell nothing, unless so many are in one topic anyway."""
_RATE = 4
"""A word tells a topic where it is so many times as frequent there as in all others: no word of grammar is, in any
language, as long as topics are not small."""


@dataclass(frozen=True)
class Topic:
    """A topic: how many dialogues are about it, and the words that tell it from the others, the best first."""

    name: str
    dialogues: int
    words: list[str]


def topics(texts: Sequence[str], number: int | None = None, seed: int = 0) -> tuple[Labels, list[Topic], str]:
    """Each text's topic, the topics, and a note where there are none: they need `PER_TOPIC` texts each, or a `number`
    of their own."""
    vectors, split = embed(texts), words(pl.Series(texts, dtype=pl.String))
    there = np.flatnonzero(vectors.any(1) & (split.lengths > 0))
    topic_count = number or min(MOST, max(FEWEST, len(there) // PER_TOPIC))
    none = Labels([], np.full(len(texts), -1, np.int64))
    if len(there) < (topic_count if number else FEWEST * PER_TOPIC):
        return none, [], f"{len(there):,} dialogues are too few for topics"
    codes = np.full(len(texts), -1, np.int64)
    codes[there] = clusters(vectors[there], topic_count, seed)
    sizes = np.bincount(codes[there])
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    places = np.full(len(sizes) + 1, -1, np.int64)
    places[order] = np.arange(len(order))
    codes = places[codes]  # the last place, -1, is that of no topic
    topic_words = telling(split, codes, len(order))
    names = _names(topic_words)
    records = [Topic(name, int(sizes[old]), some) for name, old, some in zip(names, order, topic_words, strict=True)]
    return Labels(names, codes), records, ""


def clusters(vectors: Vectors, number: int, seed: int = 0) -> Codes:
    """Spherical k-means (Dhillon & Modha 2001) with k-means++ starts (Arthur & Vassilvitskii 2007): the best of
    `STARTS` by the similarity of rows and their centres. Rows have length 1."""
    rng = np.random.default_rng(seed)
    some = (
        vectors
        if len(vectors) <= MOST_FITTED
        else vectors[np.sort(rng.choice(len(vectors), MOST_FITTED, replace=False))]
    )
    fits = [_fit(some, number, rng) for _ in range(STARTS)]
    centres, _ = max(fits, key=lambda fit: fit[1])
    nearest: Codes = (vectors @ centres.T).argmax(1).astype(np.int64)
    return nearest


def _fit(rows: Vectors, number: int, rng: np.random.Generator) -> tuple[Vectors, float]:
    centres = _starts(rows, number, rng)
    before = np.full(len(rows), -1)
    similarity = rows @ centres.T
    for _ in range(STEPS):
        nearest = similarity.argmax(1)
        if (nearest == before).all():
            break
        before = nearest
        for place in range(number):
            total = rows[nearest == place].sum(0)
            length = float(np.linalg.norm(total))
            centres[place] = total / length if length > 1e-9 else rows[similarity.max(1).argmin()]
        similarity = rows @ centres.T
    return centres, float(similarity.max(1).sum())


def _starts(rows: Vectors, number: int, rng: np.random.Generator) -> Vectors:
    centres = [rows[rng.integers(len(rows))]]
    apart = np.full(len(rows), np.inf)
    for _ in range(number - 1):
        apart = np.minimum(apart, np.maximum(0, 1 - rows @ centres[-1]).astype(np.float64))
        total = apart.sum()
        centres.append(rows[rng.choice(len(rows), p=apart / total) if total > 0 else rng.integers(len(rows))])
    return np.stack(centres)


def telling(split: Words, codes: Codes, number: int) -> list[list[str]]:
    """Each topic's words by class-based TF-IDF (Grootendorst, BERTopic, 2022): frequency in the topic times
    ln(1 + mean words of a topic ÷ the word's count). Digits, single letters and words that are about as frequent in
    other topics (`_RATE`) are no candidates."""
    rows, size = split.rows, len(split.vocabulary)
    in_topic = codes[rows] >= 0
    counts = np.zeros((number, size))
    np.add.at(counts, (codes[rows][in_topic], split.codes[in_topic]), 1)
    document_counts = np.bincount(np.unique(rows * size + split.codes) % max(1, size), minlength=size)
    candidate = np.array([len(w) > 1 and not w.isdigit() for w in split.vocabulary], dtype=np.bool_)
    candidate &= (document_counts >= min(3, len(split))) & (
        document_counts <= max(3, max(_COMMON, 1.5 / number) * len(split))
    )
    scores: Floats = np.log1p(counts.sum() / max(1, number) / np.maximum(1, counts.sum(0)))
    rates = counts / np.maximum(1, counts.sum(1, keepdims=True))
    elsewhere = (counts.sum(0) - counts) / np.maximum(1, counts.sum() - counts.sum(1, keepdims=True))
    scores = np.where(candidate & (rates >= _RATE * elsewhere), rates * scores, 0)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TELLING]
    return [[split.vocabulary[w] for w in row if scores[place, w] > 0] for place, row in enumerate(best)]


def _names(topic_words: list[list[str]]) -> list[str]:
    """The first words of each, with a number where two would be called the same."""
    names: list[str] = []
    for place, some in enumerate(topic_words, 1):
        name = ", ".join(some[:IN_NAME]) or f"topic {place}"
        names.append(name if name not in names else f"{name} ({place})")
    return names


def embed(texts: Sequence[str], folder: Path = BUNDLED) -> Vectors:
    """One row a text, of length 1 about the mean of all; a row of zeros for a text without a word piece.

    At most the first 2,000 characters of a text count.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(texts), _TEXTS):
        batch = [normalise(text[:_CHARACTERS]) for text in texts[start : start + _TEXTS]]
        ids += [np.asarray(one.ids, np.int64) for one in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
    lengths = np.array([len(one) for one in ids], np.int64)
    flat = np.concatenate([np.zeros(0, np.int64), *ids])
    pieces, codes = np.unique(flat, return_inverse=True)
    if not len(pieces):
        return np.zeros((len(texts), 1), np.float32)
    vectors = _piece_vectors(pieces, folder)
    share = np.bincount(codes) / len(codes)
    vectors = (vectors - vectors.mean(0)) * (SMOOTHING / (SMOOTHING + share))[:, None].astype(np.float32)
    return _unit(_sums(vectors, codes, lengths))


def _piece_vectors(pieces: npt.NDArray[np.int64], folder: Path) -> Vectors:
    session = open_session(folder, [_PIECES])
    parts = []
    for start in range(0, len(pieces), _BATCH):
        batch = pieces[start : start + _BATCH, None]
        inputs = {"input_ids": batch, "token_type_ids": np.zeros_like(batch), "attention_mask": np.ones_like(batch)}
        parts.append(session.run([_PIECES], inputs)[0][:, 0])
    return np.concatenate(parts)


def _sums(vectors: Vectors, codes: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Vectors:
    """The sum of each text's vectors; never all of them at once."""
    ends = np.concatenate([[0], lengths.cumsum()]).tolist()
    total = np.zeros((len(lengths), vectors.shape[1]), np.float32)
    for row, (start, stop) in enumerate(pairwise(ends)):
        total[row] = vectors[codes[start:stop]].sum(0)
    return total


def _unit(rows: Vectors) -> Vectors:
    """Rows of length 1 after the mean is taken away; empty rows stay zero."""
    there = rows.any(1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    if there.any():
        rows[there] -= rows[there].mean(0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-6)
    return unit
