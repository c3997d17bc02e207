"""The contract of every metric: pairs in, figures out, under any weighting of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import polars as pl

from efficient_empathy.foundation.statistics.measured import CombinedCounts, Measured, Sums, Values, Weights

__all__ = [
    "MODEL",
    "CombinedCounts",
    "Figure",
    "Measured",
    "Metric",
    "MetricOptions",
    "Streaming",
    "Sums",
    "Tally",
    "Values",
    "Weights",
    "compute",
    "reading_replies_alone",
]

MODEL = "model"
"""In `Metric.columns`: it reads the model itself."""


@dataclass(frozen=True)
class Figure:
    """One number of a metric: its name, what better means, and what it is and where it comes from."""

    name: str
    better: Literal["higher", "lower", "neither"]
    about: str
    """One line: what is measured, with its source; shown under tables."""
    digits: int = 2
    bounds: tuple[float, float] | None = None
    """The lowest and the highest value that there can be, where it has such: no interval and no axis goes beyond."""


def percent(name: str, better: Literal["higher", "lower", "neither"], about: str, digits: int = 2) -> Figure:
    """A figure that is a share ×100."""
    return Figure(name, better, about, digits, (0.0, 100.0))


@dataclass(frozen=True)
class MetricOptions:
    """The options of all metrics."""

    splitter: Literal["auto", "nltk", "builtin"] = "auto"
    """What splits sentences before words: NLTK's where its data is found, else builtin, by auto."""
    template: str | None = None
    """The prompt template that models are asked with; by default what each was trained with, else chat."""
    max_length: int = 512
    """Tokens of context and response that a model reads at most; the oldest turns go first."""
    bertscore_model: str | None = None
    """A folder or a hub name; FOLDER@LAYER for one that bert-score knows no layer of."""
    classifiers: Mapping[str, Path] = field(default_factory=dict)
    """By kind, the folders that `fit-metric` made."""
    judge: Mapping[str, Any] = field(default_factory=dict)
    """How the LLM judge is reached, as `JudgeOptions` has it."""
    work: Path | None = None
    """Where what is paid for or slow is kept between calls: the run's folder."""


@runtime_checkable
class Metric(Protocol):
    """A family of figures that are computed together, made from `MetricOptions`.

    A new one is a new file and one line in `metrics/__init__.py`, or an entry point of an installed package.
    `measure` takes one model's rows: `id`, `dialogue_id`, `prediction`, `reference` (strings; an empty prediction is
    scored, never skipped), and where `columns` names them `context` (list of {role, text}) and `category`. A metric of
    a model rather than of its responses (perplexity) reads `model`, a folder or a hub name. One that says
    `of_replies_alone = True` reads no references: theirs are measured as well, as if they were replies.
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


def reading_replies_alone(metrics: Sequence[Metric]) -> list[Metric]:
    """Those that say so (`of_replies_alone = True`): they measure the references, too, as if these were replies."""
    return [metric for metric in metrics if getattr(metric, "of_replies_alone", False)]


def compute(metric: Metric, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The figures of plain lists, one dialogue a row. Raises `UserError` for lists of different lengths."""
    from efficient_empathy.evaluation.pairs import pair_texts

    return {
        name: float(value[0]) for name, value in metric.measure(pair_texts(predictions, references)).under().items()
    }
