"""The vectors of a run's real samples, kept from call to call: they cost about 10 ms each, and do not change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.synthesis.embeddings import Embedder, Vectors

_NOTED_FROM = 1000
"""So many samples without a vector are announced: they take seconds."""


def kept_vectors(path: Path, samples: Sequence[Sample], embedder: Embedder, console: Console) -> Vectors:
    """One row a sample, see `Embedder.samples`; `path` keeps them, and is read for those that it has.

    A file of another encoder, or one that is damaged, is made anew.
    """
    keys = [_key(sample) for sample in samples]
    known = _read(path, embedder.hash)
    missing = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in known}
    if missing:
        if len(missing) >= _NOTED_FROM:
            console.print(f"Embedding {len(missing):,} real samples, once for all calls.")
        known.update(zip(missing, embedder.samples(list(missing.values())), strict=True))
    rows = np.array([known[key] for key in keys], np.float32)
    if missing:
        wanted = dict(zip(keys, rows, strict=True))
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, encoder=embedder.hash, keys=np.array(list(wanted), "S32"), rows=np.array([*wanted.values()]))
    return rows


def _read(path: Path, encoder: str) -> dict[bytes, Vectors]:
    try:
        with np.load(path, allow_pickle=False) as content:
            if str(content["encoder"]) != encoder:
                return {}
            return dict(zip(content["keys"].tolist(), content["rows"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}


def _key(sample: Sample) -> bytes:
    """What a sample's vector depends on."""
    content = json.dumps([*([turn.role, turn.text] for turn in sample.context), sample.response])
    return hashlib.sha256(content.encode()).hexdigest()[:32].encode()
