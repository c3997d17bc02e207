"""More like this, and a map of what all say: a run's samples as vectors of the embedded encoder.

Every sample is read once, in a thread, as long as it takes; the vectors stay in the studio's own folder.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic, file_hash
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.scoring.judges.distilled import BUNDLED
from efficient_empathy.studio.server.results import key_of
from efficient_empathy.synthesis.embeddings import Embedder

NEAREST = 50
"""Samples that are like one, itself first."""
MOST = 100_000
"""Samples of a run that are read for it: some 10 ms each."""
_CHUNK = 256
_IN_MEMORY = 2
log = logging.getLogger(__name__)
Vectors = npt.NDArray[np.float16]
Places = npt.NDArray[np.int32]
"""(samples, 2), from 0 to `SIDE`; to the right, and up."""
SIDE = 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the samples of a run have been read: the share, and what went wrong."""

    share: float = 0.0
    fault: str = ""


class Neighbours:
    """The nearest samples, once all of a run have been read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._readings: dict[str, Reading] = {}
        self._places: tuple[str, Places] | None = None
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def of(self, table: RunTable, row: int) -> list[int] | Reading:
        """The rows nearest to one, it first; how far the reading is, where that goes on.

        Raises `UserError` for a run with too many samples.
        """
        key, vectors = self._vectors_of(table)
        if vectors is None:
            return self._begin(key, table)
        near = vectors.astype(np.float32) @ vectors[row].astype(np.float32)
        near[row] = np.inf
        rows: list[int] = np.argsort(-near, kind="stable")[:NEAREST].tolist()
        return rows

    def places(self, table: RunTable) -> Places | Reading:
        """Where each row is on a map of the two directions in which the samples differ most, see `of`."""
        key, vectors = self._vectors_of(table)
        if vectors is None:
            return self._begin(key, table)
        with self._lock:
            if self._places is None or self._places[0] != key:
                self._places = (key, principal_places(vectors))
            return self._places[1]

    def _vectors_of(self, table: RunTable) -> tuple[str, Vectors | None]:
        if table.count > MOST:
            raise UserError(f"this is for runs of up to {MOST:,} samples, and here are {table.count:,}")
        key = key_of("samples", table.workspace.hash_of(table.workspace.samples), file_hash(BUNDLED / "model.onnx"))
        return key, self._read(key)

    def _read(self, key: str) -> Vectors | None:
        with self._lock:
            if key not in self._vectors:
                try:
                    self._vectors[key] = np.load(self._folder / f"{key}.npy", allow_pickle=False)
                except (OSError, ValueError):
                    return None
                while len(self._vectors) > _IN_MEMORY:
                    self._vectors.popitem(last=False)
            self._vectors.move_to_end(key)
            return self._vectors[key]

    def _begin(self, key: str, table: RunTable) -> Reading:
        with self._lock:
            reading = self._readings.get(key)
            if reading is None or reading.fault:
                self._readings[key] = Reading()
                threading.Thread(target=self._work, args=(key, table), name="studio-vectors", daemon=True).start()
            return reading or Reading()

    def _work(self, key: str, table: RunTable) -> None:
        try:
            with self._turn:
                vectors = self._embed(key, table)
            with atomic(self._folder / f"{key}.npy") as path, path.open("wb") as file:
                np.save(file, vectors)
            with self._lock:
                del self._readings[key]
        except Exception as error:
            fault = str(error) if isinstance(error, UserError) else "the samples could not be read for it"
            if not isinstance(error, UserError):
                log.exception("samples could not be embedded")
            with self._lock:
                self._readings[key] = Reading(fault=fault)

    def _embed(self, key: str, table: RunTable) -> Vectors:
        embedder, total, done = Embedder(max(1, (os.cpu_count() or 2) - 1)), table.count, 0
        parts: list[Vectors] = []
        for chunk in scan_samples(table.workspace.samples, _CHUNK):
            parts.append(embedder.samples(chunk).astype(np.float16))
            done += len(chunk)
            with self._lock:
                self._readings[key] = Reading(share=done / max(1, total))
        return np.concatenate(parts)


def principal_places(vectors: Vectors) -> Places:
    """Vectors on their first two principal components; what is farther out than 99 in 100 stands at the edge."""
    rows = vectors.astype(np.float32)
    rows -= rows.mean(0)
    axes = np.linalg.eigh(rows.T @ rows)[1][:, :-3:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(axes.shape[1])])
    places = rows @ axes
    low, high = np.quantile(places, [0.005, 0.995], axis=0)
    inside = np.clip((places - low) / np.maximum(high - low, 1e-9), 0, 1)
    on_map: Places = np.rint(inside * SIDE).astype(np.int32)
    return on_map
