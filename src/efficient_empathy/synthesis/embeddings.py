"""Samples and texts as vectors of what they are about, from the embedded encoder: no torch, no network.

The encoder is the bundled judge's, a MiniLM that was fitted further to sensibility and rationality. Its last states
still tell subjects apart, but the few directions in which they spread most are what it was fitted to. So each text is
the mean of its states, less their usual mean and those directions (Mu & Viswanath, "All-but-the-Top", ICLR 2018),
which are taken from bundled dialogues. On 1,500 responses of EmpatheticDialogues, 47 % of a text's ten nearest are then
those of MiniLM itself; without that step 35 %, by the word vectors of `analytics.topics` 23 %. It reads English.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import Sample, Utterance, open_source
from efficient_empathy.encoders import OnnxEncoder
from efficient_empathy.evaluation.classifiers.features import STATES
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.scoring.judges.distilled import BUNDLED

Vectors = npt.NDArray[np.float32]
"""Shape (rows, width); each row has length 1."""
MAX_TOKENS = 256
DIRECTIONS = 4
_AT_ONCE = 1024
_LAST = STATES.format(5)
_DIALOGUES = BUNDLED.parent / "dialogues" / "valid.jsonl"


class Embedder:
    """Texts and samples to unit vectors: a row depends on its own text alone, so rows of different calls compare.

    The dot product of two rows is their cosine: about 0.1 for texts that have nothing in common, 1 for the same text.
    """

    def __init__(self, threads: int = 0) -> None:
        """`threads`: 0 for one per processor."""
        self._encoder = OnnxEncoder(BUNDLED, MAX_TOKENS, threads, _LAST)

    @cached_property
    def hash(self) -> str:
        """What the encoder is known by: vectors of another one do not compare."""
        return file_hash(BUNDLED / "model.onnx")[:16]

    def samples(self, samples: Sequence[Sample], on_sample: Callable[[int], None] = lambda done: None) -> Vectors:
        """One row a sample, of its context and response together; `on_sample` gets how many are done.

        Of a long sample the response and the last turns count, 256 word pieces in all.
        """
        mean, directions = self._usual
        rows = np.zeros((len(samples), len(mean)), np.float32)
        for start in range(0, len(samples), _AT_ONCE):
            part = self._encoder(samples[start : start + _AT_ONCE]) - mean
            for direction in directions:  # no matrix product: its last digit depends on how many rows there are
                part -= (part * direction).sum(1, keepdims=True) * direction
            rows[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
            on_sample(start + len(part))
        return rows

    def texts(self, texts: Sequence[str], on_text: Callable[[int], None] = lambda done: None) -> Vectors:
        """One row a text; a text without a word has the row that all such texts have."""
        return self.samples([_alone(text) for text in texts], on_text)

    @property
    def _usual(self) -> tuple[Vectors, Vectors]:
        return _usual_states(self._encoder)


_USUAL: dict[Path, tuple[Vectors, Vectors]] = {}


def _usual_states(encoder: OnnxEncoder) -> tuple[Vectors, Vectors]:
    """The mean state of bundled dialogues, and the unit vectors in which their states differ most; once a process.

    Rounded, so that they are the same on any number of threads.
    """
    if BUNDLED not in _USUAL:
        texts = [text for sample in open_source(_DIALOGUES) for text in (sample.context[-1].text, sample.response)]
        states = encoder([_alone(text) for text in texts]).astype(np.float64)
        mean = states.mean(0)
        directions = np.linalg.svd(states - mean, full_matrices=False)[2][:DIRECTIONS]
        _USUAL[BUNDLED] = mean.round(5).astype(np.float32), directions.round(5).astype(np.float32)
    return _USUAL[BUNDLED]


def _alone(text: str) -> Sample:
    return Sample("", "", 0, (Utterance("speaker", ""),), text)
