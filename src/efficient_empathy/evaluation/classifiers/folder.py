"""A fitted classifier and its folder: `metric.json`, `weights.npz`, `README.md`. It runs without torch."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from efficient_empathy.evaluation.classifiers.encoding import LAYERS, LayerEncoder, Pair
from efficient_empathy.evaluation.classifiers.kinds import KINDS
from efficient_empathy.evaluation.classifiers.logistic import Weights
from efficient_empathy.evaluation.classifiers.ngrams import BUCKETS, Grams, grams
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic, file_hash

Floats = npt.NDArray[np.float32]
_BATCH = 512


class Head(BaseModel):
    """What is decided: a dimension and its labels; of levels also the cuts between their expectations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class Config(BaseModel):
    """`metric.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["epitome", "emotion"]
    version: Literal[1] = 1
    encoder: str
    """The hash of the embedded encoder whose features the weights are for."""
    layers: tuple[int, ...] = LAYERS
    buckets: int = BUCKETS
    heads: tuple[Head, ...]
    figures: dict[str, Any]
    """Cross-validated, and what the data was."""


@dataclass(frozen=True)
class Features:
    """Rows as a classifier reads them: standardised states of the encoder, and hashed words."""

    dense: Floats
    sparse: Grams


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
        return Features(dense, features.sparse.weighted(self.idf))


def features_of(
    encoder: LayerEncoder, pairs: Sequence[Pair], on_pair: Callable[[int], None] = lambda done: None
) -> Features:
    """Raw features of contexts and responses."""
    return Features(encoder(pairs, on_pair), grams([response for _, response in pairs]))


class Classifier:
    """Gives the probabilities of each head's labels for contexts and responses; remembers what it has read."""

    def __init__(self, config: Config, scale: Scale, weights: Mapping[str, Weights], hash: str = "") -> None:  # noqa: A002
        self.config, self.scale, self.weights, self.hash = config, scale, weights, hash
        self._encoder = LayerEncoder(context=KINDS[config.kind].context)
        self._decided: dict[tuple[tuple[str, ...], str], tuple[int, ...]] = {}

    def probabilities(self, pairs: Sequence[Pair]) -> dict[str, Floats]:
        """By head, (rows × labels)."""
        scaled = self.scale(features_of(self._encoder, pairs))
        return {head.name: self.weights[head.name].probabilities(scaled.dense, scaled.sparse) for head in self.heads}

    @property
    def heads(self) -> tuple[Head, ...]:
        """What it decides."""
        return self.config.heads

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
        (folder / "metric.json").unlink(missing_ok=True)
        arrays = {"mean": self.scale.mean, "std": self.scale.std, "idf": self.scale.idf}
        for name, weights in self.weights.items():
            arrays |= {f"{name}.dense": weights.dense, f"{name}.sparse": weights.sparse, f"{name}.bias": weights.bias}
        with atomic(folder / "weights.npz") as path, path.open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **arrays)
        for name, text in (("README.md", card), ("metric.json", self.config.model_dump_json(indent=2) + "\n")):
            with atomic(folder / name) as path:
                path.write_text(text, "utf-8")


def load(folder: Path, kind: str) -> Classifier:
    """The classifier in a folder that `fit-metric` made.

    Raises `UserError` where there is none, it is of another kind, damaged, or fitted on another encoder than this
    installation has.
    """
    file = folder / "metric.json"
    remedy = f"fit it with `efficient-empathy fit-metric {kind} DATA -o {folder}`"
    try:
        config = Config.model_validate_json(file.read_bytes())
        arrays = _arrays(folder / "weights.npz")
        scale = Scale(arrays["mean"], arrays["std"], arrays["idf"])
        weights = {
            head.name: Weights(*(arrays[f"{head.name}.{part}"] for part in ("dense", "sparse", "bias")))
            for head in config.heads
        }
    except OSError as error:
        raise UserError(f"{folder} holds no fitted metric ({error.filename} is missing): {remedy}") from error
    except ValidationError as error:
        raise UserError(f"{file} is not valid ({error.errors()[0]['msg']}): {remedy}") from error
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder / 'weights.npz'} is damaged ({error}): {remedy}") from error
    if config.kind != kind:
        raise UserError(f"{folder} holds the fitted metric {config.kind}, not {kind}: {remedy}")
    classifier = Classifier(config, scale, weights, file_hash(folder / "weights.npz")[:16])
    if config.encoder != LayerEncoder(context=False).hash:
        raise UserError(f"{folder} was fitted on another encoder than this installation has: {remedy} again")
    return classifier


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
