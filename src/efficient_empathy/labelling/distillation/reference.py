"""`reference.json`: what the inputs of a distilled judge were like when it learnt, so that others can be told apart.

Figures only, no text: of every feature a range and counts in bins, and how often each word piece came. A training
sample's word pieces are weighed without those of its own conversation, as a new conversation's are; its own rare words
would otherwise look familiar, and every new conversation strange.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from tokenizers import Tokenizer

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders import PairTokenizer, normalise
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.statistics.drift import effective_size
from efficient_empathy.foundation.statistics.measured import Floats
from efficient_empathy.scoring.judges.distilled import AxisHead, DistilledJudge

Values = Floats
"""Shape (samples, features), the features in the reference's order."""
FILE = "reference.json"
TEXT_FEATURES = ("response_words", "context_words", "turns")
PIECE_FEATURES = ("surprise", "response_surprise", "unseen")
ENTROPY = "entropy"
RANGE = 0.001
"""The share of the training samples that may lie below a feature's range, and above it."""
BINS = 10
"""Of like size, cut at the training samples' quantiles; scores have a bin per whole number."""
KEPT_PIECES = 15_000
"""The commonest word pieces; all others count as unseen. It keeps the file under 200 KB."""
MISSING = 0.5
"""Added to every word piece's count, so that an unseen one has a probability (Krichevsky & Trofimov 1981)."""
_WORD = re.compile(r"\w+")


class Feature(BaseModel):
    """A feature's range `low` to `high`, ends included, and `counts` in the bins between inner `edges`.

    An edge belongs to the bin below it. The range of a score is all of its scale.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    low: float
    high: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _check(self) -> Feature:
        if len(self.counts) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(f"{self.name} has edges that do not rise, or not one bin more than edges")
        if min(self.counts) < 0 or not sum(self.counts) or not self.low <= self.high:
            raise ValueError(f"{self.name} has no counts or no range")
        return self

    def count(self, values: Floats) -> npt.NDArray[np.int64]:
        """How many of the values fall into each bin, shape (bins,)."""
        return count_bins(self.edges, values)


class Reference(BaseModel):
    """What is kept of the inputs that a judge learnt from, or that a run has.

    `model` tells which judge it belongs to; `effective_size` is what the samples are worth as independent ones;
    `outside` is the share of them that lie outside a range. `pieces` are the ids of word pieces, each as its distance
    from the one before, and `piece_counts` how often each came.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    of: Literal["training", "run"] = "training"
    """Whose samples they are: those that the judge learnt from, or a run's."""
    model: str
    samples: int
    conversations: int
    effective_size: float
    outside: float
    features: tuple[Feature, ...]
    vocabulary: int
    pieces: tuple[int, ...]
    piece_counts: tuple[int, ...]

    @model_validator(mode="after")
    def _check(self) -> Reference:
        if len(self.pieces) != len(self.piece_counts) or sum(self.pieces) >= self.vocabulary:
            raise ValueError("its word pieces and their counts do not fit together")
        return self

    @classmethod
    def load(cls, folder: Path, judge: DistilledJudge) -> Reference | None:
        """The reference beside a judge; None where there is none, `UserError` for one that is damaged or another's."""
        path = folder / FILE
        try:
            reference = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        except ValidationError as error:
            message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            raise UserError(f"{path} is no reference: {message}; delete it, or distil the judge again") from error
        names = feature_names(judge.config.axes)
        if reference.model != model_of(judge) or tuple(feature.name for feature in reference.features) != names:
            raise UserError(f"{path} belongs to another judge than the model beside it: delete it, or distil again")
        return reference

    @property
    def usual_outside(self) -> float:
        """The share of new samples of the same kind that is expected outside a range: as many as of the training
        samples, or as the ranges of few conversations leave out, 2 / (conversations + 1) a feature, at most half."""
        return max(self.outside, min(0.5, 2 * len(self.features) / (self.conversations + 1)))

    def counts_by_piece(self) -> Floats:
        """How often each word piece of the vocabulary came, shape (vocabulary,)."""
        counts = np.zeros(self.vocabulary)
        counts[np.cumsum(self.pieces, dtype=np.int64)] = self.piece_counts
        return counts


def count_bins(edges: Sequence[float], values: Floats) -> npt.NDArray[np.int64]:
    """How many values fall into each bin between inner edges, shape (edges + 1,); an edge belongs to the bin below."""
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)


class Measuring:
    """Measures the features of samples as those of a reference were; made once for a judge's folder."""

    def __init__(self, reference: Reference, folder: Path, judge: DistilledJudge) -> None:
        self._tokenizer = PairTokenizer(folder / "tokenizer.json", judge.config.max_tokens)
        self._counts = reference.counts_by_piece()
        self._moments = _moments(self._counts)
        self._axes = judge.config.axes

    def __call__(self, samples: Sequence[Sample], probabilities: np.ndarray) -> Values:
        """The features of samples with the judge's own distributions of them, (samples × axes × levels)."""
        pieces = [*_pieces(self._tokenizer, samples)]
        return _values(samples, probabilities, piece_features(pieces, self._counts, moments=self._moments), self._axes)


def feature_names(axes: Sequence[AxisHead]) -> tuple[str, ...]:
    """The features in order: of the text, of its word pieces, of what the judge says to it."""
    return (*TEXT_FEATURES, *PIECE_FEATURES, *(f"{axis.name}_score" for axis in axes), ENTROPY)


def model_of(judge: DistilledJudge) -> str:
    """What tells a distilled judge's files from any other's: the setting `model` of its spec."""
    return str(judge.spec.settings["model"])


def write_reference(
    judge: DistilledJudge, folder: Path, samples: Sequence[Sample], probabilities: np.ndarray
) -> Reference:
    """Measure the samples that the judge in `folder` learnt from and write `reference.json` beside it."""
    reference = measure_reference(judge, folder, samples, probabilities)
    with atomic(folder / FILE) as path:
        path.write_text(reference.model_dump_json() + "\n", "utf-8")
    return reference


def measure_reference(
    judge: DistilledJudge, folder: Path, samples: Sequence[Sample], probabilities: np.ndarray
) -> Reference:
    """What samples are like to the judge in `folder`.

    `probabilities`, (samples × axes × levels), are best those of a judge that had not seen the sample: of what it has
    learnt by heart a judge is surer than of new samples.
    """
    tokenizer = PairTokenizer(folder / "tokenizer.json", judge.config.max_tokens)
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    pieces = [*_pieces(tokenizer, samples)]
    counts = _piece_counts(pieces, vocabulary)
    strangeness = piece_features(pieces, counts, [sample.dialogue_id for sample in samples])
    values = _values(samples, probabilities, strangeness, judge.config.axes)
    low, high = np.quantile(values, RANGE, 0, method="lower"), np.quantile(values, 1 - RANGE, 0, method="higher")
    for i, axis in enumerate(judge.config.axes, len(TEXT_FEATURES) + len(PIECE_FEATURES)):
        low[i], high[i] = axis.scale  # an extreme score is no strange input
    edges = [*map(_quantile_edges, values.T[: -1 - len(judge.config.axes)]), *map(_level_edges, judge.config.axes)]
    edges.append(_quantile_edges(values[:, -1]))
    features = tuple(
        Feature(name=name, low=low[i], high=high[i], edges=edges[i], counts=count_bins(edges[i], values[:, i]).tolist())
        for i, name in enumerate(feature_names(judge.config.axes))
    )
    ids = np.flatnonzero(counts)
    dialogues = Counter(sample.dialogue_id for sample in samples)
    return Reference(
        model=model_of(judge),
        samples=len(samples),
        conversations=len(dialogues),
        effective_size=round(effective_size([*dialogues.values()]), 1),
        outside=round(float(((values < low) | (values > high)).any(1).mean()), 4),
        features=features,
        vocabulary=vocabulary,
        pieces=tuple(np.diff(ids, prepend=0).tolist()),
        piece_counts=tuple(counts[ids].astype(int).tolist()),
    )


def text_features(samples: Sequence[Sample]) -> Values:
    """Words of the response and of the whole context, written out as the judge reads them, and turns before the
    response."""
    counts: dict[str, int] = {}  # the samples of one conversation share most turns

    def words(text: str) -> int:
        if text not in counts:
            counts[text] = _words(text)
        return counts[text]

    return np.array(
        [[words(s.response), sum(words(turn.text) for turn in s.context), len(s.context)] for s in samples],
        dtype=np.float64,
    ).reshape(len(samples), len(TEXT_FEATURES))


def piece_features(
    pieces: Sequence[tuple[npt.NDArray[np.int64], int]], counts: Floats, dialogue_ids: Sequence[str] | None = None,
    moments: tuple[float, float] | None = None,
) -> Values:  # fmt: skip
    """How strange the word pieces are that the judge reads, given how often each came in its training.

    `surprise` is their mean negative log-likelihood, in nats; `response_surprise` how far that of the response alone
    lies above the mean of all training, in standard errors, so that short responses are not strange by chance; `unseen`
    the share of pieces that never came. `pieces` are a sample's ids, and how many of them stand before the response.
    With `dialogue_ids` each sample is measured without what its own conversation adds to `counts`; `moments` are those
    of `counts`, for who has them.
    """
    total, vocabulary = counts.sum(), len(counts)
    mean, deviation = moments or _moments(counts)
    own = _by_dialogue(pieces, dialogue_ids) if dialogue_ids is not None else None
    values = np.zeros((len(pieces), len(PIECE_FEATURES)))
    for row, (ids, before) in enumerate(pieces):
        if not len(ids):
            continue
        times_before, of_all = counts[ids], total
        if own is not None and dialogue_ids is not None:
            names, times = own[dialogue_ids[row]]
            theirs = np.where(counts[names] > 0, times, 0)
            times_before, of_all = times_before - theirs[np.searchsorted(names, ids)], total - theirs.sum()
        nats = np.log(of_all + MISSING * vocabulary) - np.log(times_before + MISSING)
        response = nats[before:]
        strange = (response.mean() - mean) / deviation * np.sqrt(len(response)) if len(response) else 0.0
        values[row] = nats.mean(), strange, (times_before == 0).mean()
    return values


def score_features(probabilities: np.ndarray, axes: Sequence[AxisHead]) -> Values:
    """The expected score per axis, and the mean over axes of the distributions' entropy, in bits."""
    p = np.asarray(probabilities, dtype=np.float64)
    levels = [np.arange(axis.scale[0], axis.scale[1] + 1) for axis in axes]
    scores = [p[:, i, : len(own)] @ own for i, own in enumerate(levels)]
    entropy = -(p * np.log2(np.maximum(p, 1e-12))).sum(-1).mean(1)
    return np.column_stack([*scores, entropy])


def _values(samples: Sequence[Sample], probabilities: np.ndarray, pieces: Values, axes: Sequence[AxisHead]) -> Values:
    return np.round(np.concatenate([text_features(samples), pieces, score_features(probabilities, axes)], 1), 3)


def _words(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(normalise(text)))


def _pieces(tokenizer: PairTokenizer, samples: Sequence[Sample]) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """A sample's word pieces without the marks between turns, and how many of them are the context's."""
    for ids, boundary in tokenizer(samples):
        context, response = np.array(ids[1 : boundary - 1], np.int64), np.array(ids[boundary:-1], np.int64)
        context = context[context != ids[-1]]
        yield np.concatenate([context, response]), len(context)


def _piece_counts(pieces: Sequence[tuple[npt.NDArray[np.int64], int]], vocabulary: int) -> Floats:
    """How often each word piece came, 0 for all but the commonest; equal ones in order of their ids."""
    every = np.concatenate([ids for ids, _ in pieces])
    counts = np.bincount(every, minlength=vocabulary).astype(np.float64)
    counts[np.argsort(-counts, kind="stable")[KEPT_PIECES:]] = 0
    return counts


def _by_dialogue(
    pieces: Sequence[tuple[npt.NDArray[np.int64], int]], dialogue_ids: Sequence[str]
) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Of every conversation its word pieces, ascending, and how often each came in it."""
    parts: dict[str, list[npt.NDArray[np.int64]]] = {}
    for (ids, _), dialogue in zip(pieces, dialogue_ids, strict=True):
        parts.setdefault(dialogue, []).append(ids)
    return {dialogue: np.unique(np.concatenate(each), return_counts=True) for dialogue, each in parts.items()}


def _moments(counts: Floats) -> tuple[float, float]:
    """Mean and standard deviation of a word piece's negative log-likelihood under the training's frequencies."""
    total = counts.sum()
    nats = np.log(total + MISSING * len(counts)) - np.log(counts + MISSING)
    mean = float(counts @ nats / total)
    return mean, max(1e-6, float(np.sqrt(max(0.0, counts @ nats**2 / total - mean**2))))


def _quantile_edges(values: Floats) -> tuple[float, ...]:
    cuts = np.quantile(values, np.arange(1, BINS) / BINS, method="lower")
    return tuple(np.unique(cuts).tolist())


def _level_edges(axis: AxisHead) -> tuple[float, ...]:
    return tuple(level + 0.5 for level in range(axis.scale[0], axis.scale[1]))
