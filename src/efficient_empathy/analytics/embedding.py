"""What a text is about, as a vector, from the embedded encoder's own word vectors: no torch, no network.

The judge's ONNX model gives out the vectors of word pieces before its first layer, which its training has changed the
least. A text is their mean, frequent pieces weighing less (smooth inverse frequency: Arora, Liang & Ma 2017). Each
distinct piece goes through the model once, so a run of any size costs some seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from efficient_empathy.encoders import normalise
from efficient_empathy.evaluation.classifiers.features import with_outputs
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.judges.distilled import BUNDLED

Vectors = npt.NDArray[np.float32]
SMOOTHING = 1e-3
"""Pieces of this share of all text weigh half."""
_PIECES = "/encoder/embeddings/LayerNorm/LayerNormalization_output_0"
_BATCH = 512
_TEXTS = 4096
_CHARACTERS = 2000


def embed(texts: Sequence[str], folder: Path = BUNDLED) -> Vectors:
    """One row a text, of length 1 about the mean of all; a row of zeros for a text without a word piece.

    At most the first 2,000 characters of a text count.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(texts), _TEXTS):
        shown = [normalise(text[:_CHARACTERS]) for text in texts[start : start + _TEXTS]]
        ids += [np.asarray(one.ids, np.int64) for one in tokenizer.encode_batch_fast(shown, add_special_tokens=False)]
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
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        model = with_outputs((folder / "model.onnx").read_bytes(), [_PIECES])
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare Exceptions of its own
        raise UserError(f"{folder} holds no usable encoder: {error}") from error
    found = []
    for start in range(0, len(pieces), _BATCH):
        batch = pieces[start : start + _BATCH, None]
        inputs = {"input_ids": batch, "token_type_ids": np.zeros_like(batch), "attention_mask": np.ones_like(batch)}
        found.append(session.run([_PIECES], inputs)[0][:, 0])
    return np.concatenate(found)


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
