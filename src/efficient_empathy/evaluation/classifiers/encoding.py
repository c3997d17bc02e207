"""What the embedded encoder's layers make of a context and a response, without torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.encoders import PairTokenizer
from efficient_empathy.encoders.pairs import pad
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import file_hash
from efficient_empathy.scoring.judges.distilled import BUNDLED

Floats = npt.NDArray[np.float32]
Pair = tuple[Sequence[str], str]
"""The turns of a context, speaker first (none where a text is read alone), and the response or text."""

LAYERS = (2, 4)
"""The third and the fifth of the encoder's six layers: later ones know less that the judge was not asked for."""
STATES = "/encoder/encoder/layer.{}/output/LayerNorm/LayerNormalization_output_0"
MAX_TOKENS = 256


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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        model = with_outputs((self._folder / "model.onnx").read_bytes(), self._outputs)
        try:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises bare Exceptions of its own
            raise UserError(f"{self._folder} holds no usable encoder: {error}") from error

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

    def _one(self, encoded: tuple[list[int], int]) -> Floats:
        ids, boundary = encoded
        states = self._session.run(self._outputs, pad([encoded]))
        return np.concatenate([part for state in states for part in self._pooled(state[0], boundary, len(ids) - 1)])

    def _pooled(self, state: Floats, boundary: int, end: int) -> list[Floats]:
        """Of an empty response its closing [SEP] stands for it; of an empty context the [SEP] after it."""
        response = state[boundary : max(end, boundary + 1)]
        pooled = [state[0], response.mean(0), response.max(0)]
        return [*pooled, state[1 : max(2, boundary - 1)].mean(0)] if self._context else pooled


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """An ONNX model that also gives out the inner tensors called `names`.

    Protocol buffers that are put one after the other merge: here field 7 of ModelProto (graph), field 12 of GraphProto
    (output), field 1 of ValueInfoProto (name), as onnx.proto numbers them.
    """
    return model + b"".join(_field(7, _field(12, _field(1, name.encode()))) for name in names)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
