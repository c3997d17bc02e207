"""The embedded judge: a small encoder distilled from another judge's scores, run by onnxruntime without torch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from efficient_empathy.dialogues import Sample
from efficient_empathy.encoders import OnnxEncoder
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import file_hash
from efficient_empathy.foundation.settings import Flag
from efficient_empathy.scoring.judgement import Judgement
from efficient_empathy.scoring.judges.contract import JudgeContext, JudgeSettings, JudgeSpec
from efficient_empathy.scoring.rubric import Rubric

NOTE = (
    "The distilled judge {name} does not read the rubric: it scores as the judge that it learnt from, whose rubric was "
    "another."
)
BUNDLED = Path(str(files("efficient_empathy") / "assets" / "judge"))


class AxisHead(BaseModel):
    """One axis of a distilled judge: its scale, and what calibrates its distribution: softmax(logits ÷ T + bias)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    scale: tuple[int, int]
    temperature: float
    bias: tuple[float, ...]


class DistilledConfig(BaseModel):
    """`judge.json`: what the folder's model answers. `rubric` is the hash of the rubric that it learnt."""

    model_config = ConfigDict(extra="forbid")

    name: str
    rubric: str
    axes: tuple[AxisHead, ...]
    max_tokens: int
    association: float = 0.0


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
        return DistilledJudge(context.rubric, self.folder or BUNDLED)


class DistilledJudge:
    """Reads context and response as a pair and answers, per axis, with a distribution over the whole numbers.

    The score is the distribution's expectation. `folder` is one that `efficient-empathy distill` made; by default the
    judge in the package. Raises `UserError` for a damaged folder, or a rubric with other axes than the judge learnt.
    """

    batch_size = 256
    concurrency = 2  # one batch runs while the other is recorded

    def __init__(self, rubric: Rubric, folder: Path = BUNDLED, threads: int = 0) -> None:
        try:
            self.config = DistilledConfig.model_validate_json((folder / "judge.json").read_bytes())
        except OSError as error:
            raise UserError(f"{folder} holds no distilled judge: judge.json is missing") from error
        except ValidationError as error:
            raise UserError(f"{folder / 'judge.json'} is not valid: {error.errors()[0]['msg']}") from error
        learnt = {head.name: head.scale for head in self.config.axes}
        asked = {axis.name: axis.scale for axis in rubric.axes}
        if learnt != asked:
            raise UserError(
                f"the distilled judge in {folder} scores {learnt}, the rubric asks for {asked}: distil a judge from a "
                "run with this rubric, or use --judge openai"
            )
        self.name = self.config.name
        self.note = "" if self.config.rubric == rubric.hash else NOTE.format(name=self.name)
        self._rubric = rubric
        self._encoder = OnnxEncoder(folder, self.config.max_tokens, threads)
        files = "+".join(file_hash(folder / name)[:12] for name in ("model.onnx", "judge.json"))
        self.spec = JudgeSpec(judge="distilled", rubric=rubric.hash, settings={"model": files})

    def probabilities(self, samples: Sequence[Sample]) -> np.ndarray:
        """Calibrated distributions, (samples × axes × levels) float32; the axes in the judge's own order."""
        return calibrated(self._encoder(samples), self.config.axes)

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement per sample, in order."""
        started = time.perf_counter()
        table = await asyncio.to_thread(self.probabilities, samples)
        each = (time.perf_counter() - started) / len(samples)
        order = [[head.name for head in self.config.axes].index(name) for name in self._rubric.axis_names]
        values = [np.asarray(axis.values, np.float32) for axis in self._rubric.axes]
        means = [table[:, column] @ value for column, value in zip(order, values, strict=True)]
        now = time.time()
        return [
            Judgement(
                sample.id,
                "ok",
                self.name,
                self._rubric.hash,
                scores={name: float(mean[i]) for name, mean in zip(self._rubric.axis_names, means, strict=True)},
                probabilities=dict(zip(self._rubric.axis_names, table[i, order], strict=True)),
                association=self.config.association,
                latency_s=each,
                created_at=now,
            )
            for i, sample in enumerate(samples)
        ]

    def drain(self) -> None:
        """A batch is over in a moment."""

    async def close(self) -> None:
        """Nothing is held open."""


def calibrated(logits: np.ndarray, heads: Sequence[AxisHead]) -> np.ndarray:
    """Distributions from a student's logits, (samples × axes × levels)."""
    temperatures = np.array([head.temperature for head in heads], np.float32)
    return softmax(logits / temperatures[:, None] + np.array([head.bias for head in heads], np.float32))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    total: np.ndarray = shifted / shifted.sum(-1, keepdims=True)
    return total
