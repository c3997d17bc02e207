"""A pair encoder run by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders.pairs import PairTokenizer, pad
from efficient_empathy.foundation.errors import UserError


class OnnxEncoder:
    """`model.onnx` and `tokenizer.json` of one folder; raises `UserError` where a file is missing or damaged.

    Samples run one by one on `threads` threads (0: one per processor). That wastes nothing on padding, is faster than
    batches here, and a sample's result never hangs on its company: int8 activations are scaled per call.
    """

    def __init__(self, folder: Path, max_tokens: int, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._tokenizer = PairTokenizer(folder / "tokenizer.json", max_tokens)
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise bare Exceptions of their own
            raise UserError(f"{folder} holds no usable model.onnx and tokenizer.json: {error}") from error
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    def __call__(self, samples: Sequence[Sample]) -> np.ndarray:
        """The model's first output, one row a sample, in order."""
        return np.concatenate(list(self._pool.map(self._one, self._tokenizer(samples))))

    def _one(self, encoded: tuple[list[int], int]) -> np.ndarray:
        output: np.ndarray = self._session.run(None, pad([encoded]))[0]
        return output
