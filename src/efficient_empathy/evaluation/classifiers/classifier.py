"""Classifiers by multinomial logistic regression: fit, quality, and the folder. They run without torch."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.classifiers.features import (
    BUCKETS,
    LAYERS,
    Floats,
    Grams,
    LayerEncoder,
    Pair,
    Scale,
    features_of,
)
from efficient_empathy.evaluation.classifiers.kinds import kind_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic, file_hash
from efficient_empathy.foundation.run.record import Part, Record
from efficient_empathy.scoring.judges.distilled import softmax

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """What was fitted: logits are dense @ `dense` + grams @ `sparse` + `bias`."""

    dense: Floats
    """(features × labels)."""
    sparse: Floats
    """(BUCKETS × labels)."""
    bias: Floats
    """(labels,)."""

    def probabilities(self, dense: Floats, sparse: Grams) -> Floats:
        """(rows × labels)."""
        return softmax((dense @ self.dense + sparse.dot(self.sparse) + self.bias).astype(np.float32))


def fit(dense: Floats, sparse: Grams, labels: Ints, classes: int, strength: float, iterations: int = 150) -> Weights:
    """The weights of least Σ cross-entropy + ‖W‖² ÷ (2 × `strength`), by L-BFGS (Liu & Nocedal 1989); the bias is free.

    `dense` is (rows × features), `labels` whole numbers below `classes`. Needs scipy.
    """
    from scipy.optimize import minimize
    from scipy.sparse import csr_array

    rows, width = dense.shape
    vocabulary, columns = np.unique(sparse.columns, return_inverse=True)
    lexical = csr_array((sparse.values, columns, sparse.starts), shape=(rows, len(vocabulary)))
    transpose = lexical.T.tocsr()
    targets = np.zeros((rows, classes), np.float32)
    targets[np.arange(rows), labels] = 1
    start = np.zeros((width + len(vocabulary) + 1, classes))
    start[-1] = np.log((targets.sum(0) + 1) / (rows + classes))

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        w = flat.reshape(start.shape)
        narrow = w.astype(np.float32)
        p = softmax(dense @ narrow[:width] + lexical @ narrow[width:-1] + narrow[-1])
        off = p - targets
        slope = np.concatenate([dense.T @ off, transpose @ off, off.sum(0, keepdims=True)]).astype(np.float64)
        slope[:-1] += w[:-1] / strength
        value = -np.log(p[np.arange(rows), labels] + 1e-12).sum(dtype=np.float64)
        return float(value + (w[:-1] ** 2).sum() / (2 * strength)), slope.ravel()

    solution = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations, "ftol": 1e-7})
    w = solution.x.reshape(start.shape).astype(np.float32)
    whole = np.zeros((BUCKETS, classes), np.float32)
    whole[vocabulary] = w[width:-1]
    return Weights(w[:width], whole, w[-1])


def folds_of(groups: Sequence[str], folds: int, seed: int) -> Ints:
    """A fold number, 0 to folds - 1, for each row; rows of one group share theirs."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    numbers = np.arange(len(names)) % folds
    np.random.default_rng(seed).shuffle(numbers)
    fold_numbers: Ints = numbers[index]
    return fold_numbers


def confusion(true: Ints, predictions: Ints, classes: int) -> npt.NDArray[np.float64]:
    """(classes × classes): how many rows of each true label got each label."""
    return np.bincount(true * classes + predictions, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def quadratic_kappa(counts: npt.NDArray[np.float64]) -> float:
    """Cohen's kappa with squared distances as weights (Cohen 1968), of a `confusion`; 0 where chance leaves no room."""
    k = np.arange(len(counts))
    weights = (k[:, None] - k) ** 2
    expected = (weights * np.outer(counts.sum(1), counts.sum(0))).sum() / counts.sum()
    return float(1 - (weights * counts).sum() / expected) if expected else 0.0


def macro_f1(counts: npt.NDArray[np.float64]) -> float:
    """The plain mean of each label's F1, 0 for a label that is neither true nor given."""
    return float((2 * np.diag(counts) / np.maximum(counts.sum(0) + counts.sum(1), 1)).mean())


def figures(true: Ints, predictions: Ints, classes: int, *, ordinal: bool) -> dict[str, float]:
    """`accuracy`, `macro_f1`, of levels also `quadratic_kappa`, and `majority`: what always saying one label gets."""
    counts = confusion(true, predictions, classes)
    values = {"quadratic_kappa": quadratic_kappa(counts)} if ordinal else {}
    values |= {"accuracy": float(np.diag(counts).sum() / len(true)), "macro_f1": macro_f1(counts)}
    return {name: round(value, 4) for name, value in values.items()} | {
        "majority": round(float(counts.sum(1).max() / len(true)), 4)
    }


def best_cuts(expected: npt.NDArray[np.floating], true: Ints, classes: int) -> tuple[float, ...]:
    """The `classes` - 1 cuts of expected levels, on a grid of quantiles, that agree best with the true levels.

    Best is the highest quadratic kappa; of equals the first.
    """
    grid = np.unique(np.quantile(expected, np.linspace(0.02, 0.98, 49)))
    if len(grid) < classes - 1:
        return tuple(float(level) + 0.5 for level in range(classes - 1))
    places = np.searchsorted(grid, expected)
    table = np.stack([np.bincount(places[true == level], minlength=len(grid) + 1) for level in range(classes)])

    def kappa(cuts: tuple[int, ...]) -> float:
        edges = [0, *(cut + 1 for cut in cuts), len(grid) + 1]
        parts = [table[:, a:b].sum(1) for a, b in pairwise(edges)]
        return quadratic_kappa(np.stack(parts, 1).astype(np.float64))

    best = max(combinations(range(len(grid)), classes - 1), key=kappa)
    return tuple(round(float(grid[cut]), 4) for cut in best)


RECORD, WEIGHTS, CARD = "metric.json", "weights.npz", "README.md"
_BATCH = 512


class Head(Part):
    """What is decided: a dimension and its labels; of levels also the cuts between their expectations."""

    name: str
    labels: tuple[str, ...]
    cuts: tuple[float, ...] | None = None

    def decide(self, probabilities: Floats) -> npt.NDArray[np.int64]:
        """The place of each row's label among `labels`: of levels by the expectation, else the most probable."""
        if self.cuts is None:
            most: npt.NDArray[np.int64] = probabilities.argmax(1).astype(np.int64)
            return most
        expected = probabilities @ np.arange(len(self.labels), dtype=np.float32)
        places: npt.NDArray[np.int64] = np.searchsorted(np.asarray(self.cuts), expected).astype(np.int64)
        return places


class Fit(Part):
    """What a classifier was fitted on, and how good it was on held-out rows."""

    data: str
    """The name of the file or folder."""
    sha256: str
    rows: int
    groups: int
    """Seekers' posts, or dialogues: folds keep the rows of each together."""
    folds: int
    seed: int
    counts: dict[str, dict[str, int]]
    """Rows by dimension and label."""
    figures: dict[str, dict[str, float]]
    """By dimension, or by part of the rows: `fitting.figures`, cross-validated."""
    left_out: dict[str, int]
    """Rows that were not used, by reason."""
    seconds: float


class ClassifierRecord(Record):
    """`metric.json`."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "metric.json"
    REMEDY: ClassVar[str] = "`efficient-empathy fit-metric`"

    kind: str
    encoder: str
    """The hash of the embedded encoder whose features the weights are for."""
    layers: tuple[int, ...] = LAYERS
    buckets: int = BUCKETS
    heads: tuple[Head, ...]
    fit: Fit


class Classifier:
    """Gives the probabilities of each head's labels for contexts and responses; remembers what it has read."""

    def __init__(
        self, record: ClassifierRecord, scale: Scale, weights: Mapping[str, Weights], weights_hash: str = ""
    ) -> None:
        self.record, self.scale, self.weights, self.weights_hash = record, scale, weights, weights_hash
        self._encoder = LayerEncoder(context=kind_of(record.kind).context)
        self._decided: dict[tuple[tuple[str, ...], str], tuple[int, ...]] = {}

    def probabilities(self, pairs: Sequence[Pair]) -> dict[str, Floats]:
        """By head, (rows × labels)."""
        inputs = self.scale(features_of(self._encoder, pairs))
        return {head.name: self.weights[head.name].probabilities(inputs.dense, inputs.sparse) for head in self.heads}

    @property
    def heads(self) -> tuple[Head, ...]:
        """What it decides."""
        return self.record.heads

    def decide(self, pairs: Sequence[Pair]) -> npt.NDArray[np.int64]:
        """The place of each row's label among its head's, (rows × heads). Equal rows are read once."""
        keys = [(tuple(context), response) for context, response in pairs]
        new = list(dict.fromkeys(key for key in keys if key not in self._decided))
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            probabilities = self.probabilities(batch)
            decided = np.stack([head.decide(probabilities[head.name]) for head in self.heads], 1)
            self._decided |= dict(zip(batch, map(tuple, decided.tolist()), strict=True))
        return np.asarray([self._decided[key] for key in keys], np.int64).reshape(len(keys), len(self.heads))

    def save(self, folder: Path, card: str) -> None:
        """Write the folder; `metric.json` last, so that a folder with one is whole."""
        (folder / RECORD).unlink(missing_ok=True)
        arrays = {"mean": self.scale.mean, "std": self.scale.std, "idf": self.scale.idf}
        for name, weights in self.weights.items():
            arrays |= {f"{name}.dense": weights.dense, f"{name}.sparse": weights.sparse, f"{name}.bias": weights.bias}
        with atomic(folder / WEIGHTS) as path, path.open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **arrays)
        with atomic(folder / CARD) as path:
            path.write_text(card, "utf-8")
        self.record.write(folder / RECORD)


def load(folder: Path, kind: str) -> Classifier:
    """The classifier in a folder that `fit-metric` made.

    Raises `UserError` where there is none, it is of another kind, damaged, or fitted on another encoder than this
    installation has.
    """
    remedy = f"fit it with `efficient-empathy fit-metric {kind} DATA -o {folder}`"
    for name in (RECORD, WEIGHTS):
        if not (folder / name).exists():
            raise UserError(f"{folder} holds no fitted metric ({folder / name} is missing): {remedy}")
    record = ClassifierRecord.read(folder / RECORD)
    if record.kind != kind:
        raise UserError(f"{folder} holds the fitted metric {record.kind}, not {kind}: {remedy}")
    if record.encoder != LayerEncoder(context=False).hash:
        raise UserError(f"{folder} was fitted on another encoder than this installation has: {remedy} again")
    try:
        arrays = _arrays(folder / WEIGHTS)
        scale = Scale(arrays["mean"], arrays["std"], arrays["idf"])
        weights = {
            head.name: Weights(*(arrays[f"{head.name}.{part}"] for part in ("dense", "sparse", "bias")))
            for head in record.heads
        }
        if broken := next((name for name, array in arrays.items() if not np.isfinite(array).all()), None):
            raise ValueError(f"{broken} has numbers that are not finite")
    except OSError as error:
        raise UserError(f"cannot read {folder / WEIGHTS} ({error.strerror or error}): {remedy}") from error
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}): {remedy}") from error
    return Classifier(record, scale, weights, file_hash(folder / WEIGHTS)[:16])


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
