"""The embedded judge: a small encoder distilled from another judge's scores, run by onnxruntime without torch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders import OnnxEncoder
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.settings import Flag
from efficient_empathy.scoring.judges.contract import JudgeContext, Judgement, JudgeSettings, JudgeSpec
from efficient_empathy.scoring.rubric import Rubric

NOTE = (
    "The distilled judge {name} does not read the rubric: it scores as the judge that it learnt from, whose rubric was "
    "another."
)
BUNDLED = Path(str(files("efficient_empathy") / "assets" / "judge"))


class AxisHead(BaseModel):
    """One axis of a distilled judge: its scale, and what calibrates its distribution: softmax(logits ÷ T + bias).

    `bias` has a number for each score of the scale; logits beyond, where another axis has more scores, count for
    nothing.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str
    scale: tuple[int, int]
    temperature: float
    bias: tuple[float, ...]


class DistilledConfig(BaseModel):
    """`judge.json`: what the folder's model answers. `rubric` is the hash of the rubric that it learnt.

    `dependence` has a number for each pair of `axes`, in the order of `itertools.combinations`; none for independence.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str
    rubric: str
    axes: tuple[AxisHead, ...]
    max_tokens: int
    dependence: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> DistilledConfig:
        pairs = len(self.axes) * (len(self.axes) - 1) // 2
        if len(self.dependence) not in (0, pairs):
            raise ValueError(f"dependence has {len(self.dependence)} numbers and the axes have {pairs} pairs")
        return self


class DistilledSettings(JudgeSettings):
    """Which distilled judge."""

    FORMS: ClassVar[tuple[str, ...]] = ("", ":FOLDER")
    READS_RUBRIC: ClassVar[bool] = False
    REPEATS_ITSELF: ClassVar[bool] = True

    folder: Annotated[Path | None, Flag("--judge-model")] = None
    """a folder that `distill` made; the judge in the package by default."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """`FOLDER`."""
        return {"folder": detail}

    def build(self, context: JudgeContext) -> DistilledJudge:
        """The judge."""
        return DistilledJudge(context.rubric, self.folder or BUNDLED, context.threads)


class DistilledJudge:
    """Reads context and response as a pair and answers, per axis, with a distribution over the whole numbers.

    The score is the distribution's expectation. `folder` is one that `efficient-empathy distill` made; by default the
    judge in the package. Without a rubric it answers on the axes that it learnt, in its own order. Raises `UserError`
    for a damaged folder, or a rubric with other axes than the judge learnt.
    """

    batch_size = 256
    concurrency = 2  # one batch runs while the other is recorded

    def __init__(self, rubric: Rubric | None, folder: Path = BUNDLED, threads: int = 0) -> None:
        try:
            self.config = DistilledConfig.model_validate_json((folder / "judge.json").read_bytes())
        except OSError as error:
            raise UserError(f"{folder} holds no distilled judge: judge.json is missing") from error
        except ValidationError as error:
            raise UserError(f"{folder / 'judge.json'} is not valid: {error.errors()[0]['msg']}") from error
        heads = {head.name: head.scale for head in self.config.axes}
        self.scales = {axis.name: axis.scale for axis in rubric.axes} if rubric else heads
        """The axes in the order in which they are answered, each with its lowest and its highest score."""
        if heads != self.scales:
            raise UserError(
                f"the distilled judge in {folder} scores {heads}, the rubric asks for {self.scales}: distil a judge "
                "from a run with this rubric, or use --judge openai"
            )
        self.name = self.config.name
        self._rubric = rubric.hash if rubric else self.config.rubric
        self.note = "" if self.config.rubric == self._rubric else NOTE.format(name=self.name)
        self._encoder = OnnxEncoder(folder, self.config.max_tokens, threads)
        files = "+".join(file_hash(folder / name)[:12] for name in ("model.onnx", "judge.json"))
        self.spec = JudgeSpec(judge="distilled", rubric=self._rubric, settings={"model": files})

    @property
    def order(self) -> list[int]:
        """The place of each axis of `scales` among the judge's own."""
        axes = [head.name for head in self.config.axes]
        return [axes.index(name) for name in self.scales]

    @property
    def dependence(self) -> tuple[float, ...]:
        """What is left between each two axes of the rubric, in the rubric's order; none for independence."""
        if not self.config.dependence:
            return ()
        pairs = list(combinations(range(len(self.config.axes)), 2))
        return tuple(self.config.dependence[pairs.index((min(p), max(p)))] for p in combinations(self.order, 2))

    def probabilities(self, samples: Sequence[Sample]) -> np.ndarray:
        """Calibrated distributions, (samples × axes × levels) float32; the axes in the judge's own order.

        There are as many levels as the longest scale has scores; those beyond a shorter one are 0.
        """
        return calibrate(self._encoder(samples), self.config.axes)

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order."""
        started = time.perf_counter()
        table = await asyncio.to_thread(self.probabilities, samples)
        each = (time.perf_counter() - started) / len(samples)
        order = self.order
        values = [np.arange(low, high + 1, dtype=np.float32) for low, high in self.scales.values()]
        tables = [table[:, column, : len(value)] for column, value in zip(order, values, strict=True)]
        means = [each @ value for each, value in zip(tables, values, strict=True)]
        now, dependence = time.time(), self.dependence
        return [
            Judgement(
                sample.id,
                "ok",
                self.name,
                self._rubric,
                scores={name: float(mean[i]) for name, mean in zip(self.scales, means, strict=True)},
                probabilities={name: each[i] for name, each in zip(self.scales, tables, strict=True)},
                dependence=dependence,
                latency_s=each,
                created_at=now,
            )
            for i, sample in enumerate(samples)
        ]

    def drain(self) -> None:
        """A batch is over in a moment."""

    async def close(self) -> None:
        """Nothing is held open."""


def calibrate(logits: np.ndarray, heads: Sequence[AxisHead]) -> np.ndarray:
    """Distributions from a student's logits, (samples × axes × levels); 0 beyond the scale of an axis."""
    temperatures = np.array([head.temperature for head in heads], np.float32)
    biases = np.full(logits.shape[1:], -np.inf, np.float32)
    for row, head in zip(biases, heads, strict=True):
        row[: len(head.bias)] = head.bias
    return softmax(logits / temperatures[:, None] + biases)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    total: np.ndarray = exponents / exponents.sum(-1, keepdims=True)
    return total
