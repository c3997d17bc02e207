"""The contract of every metric: pairs in, figures out, under any weighting of the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

Weights = npt.NDArray[np.float64]
"""Shape (draws, rows): how often each row is counted in each draw."""
Values = Mapping[str, npt.NDArray[np.float64]]
"""Of every figure one value a draw, shape (draws,)."""


@dataclass(frozen=True)
class Figure:
    """One number of a metric: its name, what better means, and what it is and where it comes from."""

    name: str
    better: Literal["higher", "lower", "neither"]
    about: str
    """One line: what is measured, with its source; shown under tables."""
    digits: int = 2


class Measured(Protocol):
    """What was counted in one model's rows; its figures can be asked for under any weights."""

    @property
    def repeatable(self) -> bool:
        """Whether a row may be counted more than once.

        A count of distinct things does not grow with repeats, so such a figure's interval comes from leaving dialogues
        out (jackknife), never from drawing them again (bootstrap).
        """
        ...

    @property
    def parts(self) -> Sequence[Measured]:
        """Itself alone, or those that it joins: who resamples asks each part whether it is `repeatable`."""
        ...

    def under(self, weights: Weights | None = None) -> Values:
        """The figures under `weights`; without any, every row once, as arrays of shape (1,). nan where undefined."""
        ...


@dataclass(frozen=True)
class Sums:
    """Figures that are a function of sums over rows: BLEU, ROUGE, losses, shares, means."""

    counts: npt.NDArray[np.float64]
    """Shape (rows, k)."""
    figures: Callable[[npt.NDArray[np.float64]], Values]
    """From sums, shape (draws, k), to the figures."""
    repeatable: bool = True

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`."""
        return self.figures(self.counts.sum(0, keepdims=True) if weights is None else weights @ self.counts)

    @property
    def parts(self) -> Sequence[Measured]:
        """See `Measured`."""
        return (self,)


@dataclass(frozen=True)
class Joined:
    """Counts of the same rows that are resampled in different ways, as one: BLEU beside Dist-n."""

    parts: Sequence[Measured]

    @property
    def repeatable(self) -> bool:
        """Whether all parts are."""
        return all(part.repeatable for part in self.parts)

    def under(self, weights: Weights | None = None) -> Values:
        """See `Measured`: the figures of all parts, in their order."""
        return {name: value for part in self.parts for name, value in part.under(weights).items()}


class Metric(Protocol):
    """A family of figures that are computed together. A new one is a new file and one line in `metrics/__init__.py`.

    `measure` takes one model's rows: `id`, `dialogue_id`, `prediction`, `reference` (strings; an empty prediction is
    scored, never skipped), and where `columns` names them `context` (list of {role, text}) and `category`. A metric of
    a model rather than of its responses (perplexity) reads `model`, a folder or a hub name.
    """

    name: str
    figures: Sequence[Figure]
    columns: Sequence[str]
    """What it reads beyond id, dialogue_id, prediction and reference; `model` if it needs the model itself."""
    about: Mapping[str, Any]
    """What a reader must know to get the same numbers: splitter, signature, model, versions."""

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count. Raises `UserError` for rows that lack what it reads, and for a model that is missing."""
        ...


class Tally(Protocol):
    """Figures of rows that come part by part, of which only sums and what is distinct are kept."""

    def add(self, rows: pl.DataFrame) -> None:
        """Count some rows more; columns as of `Metric.measure`."""
        ...

    def values(self) -> Values:
        """The figures of all rows so far."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """What a metric has beside `Metric` that can count rows as they come: its memory does not grow with them."""

    def tally(self) -> Tally:
        """Nothing counted yet."""
        ...


@dataclass(frozen=True)
class MetricOptions:
    """What metrics can be told."""

    splitter: Literal["auto", "nltk", "builtin"] = "auto"
    """official, standard: what splits sentences before words. auto is NLTK's where its data is found, else builtin."""
    template: str | None = None
    """perplexity: the prompt template; by default what the model was trained with, else chat."""
    max_length: int = 512
    """perplexity: tokens of context and response at most; the oldest turns go first."""
    bertscore_model: str | None = None
    """bertscore: a folder or a hub name; FOLDER@LAYER for one that bert-score knows no layer of."""
    epitome: Path | None = None
    """epitome: the folder that `fit-metric epitome` made."""
    emotion: Path | None = None
    """emotion: the folder that `fit-metric emotion` made."""
    judge: Mapping[str, Any] = field(default_factory=dict)
    """quality, pairwise: how the LLM judge is reached, as `JudgeOptions` has it."""
    work: Path | None = None
    """Where what is paid for or slow is kept between calls: the run's folder."""


def compute(metric: Metric, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The figures of plain lists, one dialogue a row. Raises `UserError` for lists of different lengths."""
    from efficient_empathy.evaluation.pairs import paired

    return {name: float(value[0]) for name, value in metric.measure(paired(predictions, references)).under().items()}
