"""The embedded text encoder: a sample as a token pair (context, response), and its ONNX session; no torch.

Both libraries are imported on first use, so that settings and `--help` do without them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CONTRACTIONS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[’`]", "'"),
        (r"\b(won't|wo n't)\b", "will not"),
        (r"\b(can't|ca n't|cannot)\b", "can not"),
        (r" ?n't\b", " not"),
        (r"\bi ?'m\b", "i am"),
        (r" ?'re\b", " are"),
        (r" ?'ve\b", " have"),
        (r" ?'ll\b", " will"),
        (r" ?'d\b", " would"),
        (r"\b(it|that|there|what|here|he|she|who|how|where) ?'s\b", r"\1 is"),
        (r"\blet ?'s\b", "let us"),
    )
]


def normalise(text: str) -> str:
    """Lower-case text with its contractions written out, as in the tokenised EmpatheticDialogues.

    So "I'm glad it didn't" and "i am glad it did not" are one text to the encoder.
    """
    text = text.lower()
    for pattern, replacement in CONTRACTIONS:
        text = pattern.sub(replacement, text)
    return text


class PairTokenizer:
    """`[CLS] turn [SEP] turn … [SEP] response [SEP]`, segment 1 for the response, at most `max_tokens`.

    A response keeps up to half of the room; of the context the last turns are kept.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        ends = self._tokenizer.encode("").ids  # first and last of any text: [CLS] and [SEP], or <s> and </s>
        if len(ends) != 2 or ends[0] == ends[1]:
            raise UserError(f"{path} marks no start and end of a text, as [CLS] and [SEP] do: it is not of an encoder")
        self._cls, self._sep = ends
        self._between = f" {self._tokenizer.id_to_token(self._sep)} "
        self.max_tokens = max_tokens

    def __call__(self, samples: Sequence[Sample]) -> list[tuple[list[int], int]]:
        """Per sample its token ids, and how many of them stand before the response."""
        room = 12 * self.max_tokens
        contexts = [_last_turns(sample, room, self._between) for sample in samples]
        responses = [normalise(sample.response[:room]) for sample in samples]
        encode = self._tokenizer.encode_batch_fast
        pairs = zip(
            encode(contexts, add_special_tokens=False), encode(responses, add_special_tokens=False), strict=True
        )
        return [self._join(context.ids, response.ids) for context, response in pairs]

    def _join(self, context: list[int], response: list[int]) -> tuple[list[int], int]:
        room = self.max_tokens - 3
        response = response[: max(self.max_tokens // 2, room - len(context))]
        context = context[max(0, len(context) - (room - len(response))) :]
        return [self._cls, *context, self._sep, *response, self._sep], len(context) + 2


def _last_turns(sample: Sample, room: int, between: str) -> str:
    """The last `room` characters of the turns before the response; of a long conversation no more is normalised."""
    turns: list[str] = []
    length = -len(between)
    for turn in reversed(sample.context):
        turns.append(normalise(turn.text))
        length += len(between) + len(turns[-1])
        if length >= room:
            break
    return between.join(reversed(turns))[-room:]


def pad(encoded: Sequence[tuple[list[int], int]]) -> dict[str, np.ndarray]:
    """Model inputs, each (samples × longest) int64: `input_ids`, `token_type_ids`, `attention_mask`."""
    shape = (len(encoded), max(len(ids) for ids, _ in encoded))
    inputs = {name: np.zeros(shape, np.int64) for name in ("input_ids", "token_type_ids", "attention_mask")}
    for row, (ids, boundary) in enumerate(encoded):
        inputs["input_ids"][row, : len(ids)] = ids
        inputs["token_type_ids"][row, boundary : len(ids)] = 1
        inputs["attention_mask"][row, : len(ids)] = 1
    return inputs


class OnnxEncoder:
    """`model.onnx` and `tokenizer.json` of one folder; raises `UserError` where a file is missing or damaged.

    Samples run one by one on `threads` threads (0: one per processor). That wastes nothing on padding, is faster than
    batches here, and a sample's result never depends on the others: int8 activations are scaled per call. With
    `states`, the name of an inner tensor (1 × tokens × width), a sample's row is the mean of it over the tokens.
    """

    def __init__(self, folder: Path, max_tokens: int, threads: int = 0, states: str | None = None) -> None:
        self._model = folder / "model.onnx"
        self._session = open_session(folder, [states] if states else [])
        try:
            self._tokenizer = PairTokenizer(folder / "tokenizer.json", max_tokens)
        except Exception as error:  # tokenizers raises bare Exceptions of its own
            raise UserError(f"{folder} holds no usable tokenizer.json: {error}") from error
        self._states = [states] if states else None
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    def __call__(self, samples: Sequence[Sample]) -> np.ndarray:
        """The model's first output, one row a sample, in order. Raises `UserError` for numbers that are not finite."""
        outputs = np.concatenate(list(self._pool.map(self._one, self._tokenizer(samples))))
        if not np.isfinite(outputs).all():
            raise UserError(f"{self._model} answers with numbers that are not finite (NaN or infinity): make it again")
        return outputs

    def _one(self, encoded: tuple[list[int], int]) -> np.ndarray:
        output: np.ndarray = self._session.run(self._states, pad([encoded]))[0]
        return output.mean(1) if self._states else output


def open_session(folder: Path, outputs: Sequence[str] = ()) -> InferenceSession:
    """A session on one thread of a folder's `model.onnx` that also gives out its inner tensors called `outputs`.

    Raises `UserError` where the file is missing or damaged, or has no such tensor.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    path = folder / "model.onnx"
    try:
        model = with_outputs(path.read_bytes(), outputs) if outputs else str(path)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare Exceptions of its own
        raise UserError(f"{folder} holds no usable encoder: {error}") from error


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """An ONNX model that also gives out the inner tensors called `names`.

    Protocol buffers that are put one after the other merge: here field 7 of ModelProto (graph), field 12 of GraphProto
    (output), field 1 of ValueInfoProto (name), as onnx.proto numbers them.
    """
    return model + b"".join(_field(7, _field(12, _field(1, name.encode()))) for name in names)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    content = bytearray()
    while value >= 0x80:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    content.append(value)
    return bytes(content)


__all__ = ["OnnxEncoder", "PairTokenizer", "normalise", "open_session", "pad", "with_outputs"]
