"""A fitted classifier and its folder: `metric.json`, `weights.npz`, `README.md`. It runs without torch."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.classifiers.features import (
    BUCKETS,
    LAYERS,
    Floats,
    LayerEncoder,
    Pair,
    Scale,
    features_of,
)
from efficient_empathy.evaluation.classifiers.fitting import Weights
from efficient_empathy.evaluation.classifiers.kinds import kind_of
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.record import Part, Record
from efficient_empathy.foundation.run.workspace import atomic, file_hash

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
        scaled = self.scale(features_of(self._encoder, pairs))
        return {head.name: self.weights[head.name].probabilities(scaled.dense, scaled.sparse) for head in self.heads}

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
    except OSError as error:
        raise UserError(f"cannot read {folder / WEIGHTS} ({error.strerror or error}): {remedy}") from error
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}): {remedy}") from error
    return Classifier(record, scale, weights, file_hash(folder / WEIGHTS)[:16])


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
