"""What `evaluate` leaves in a run's folder, as far as the report reads it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from efficient_empathy.report.reading import ShownRecord


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _whole_pair(value: Any) -> Any:
    """An interval that lacks an end is none."""
    ends = value if isinstance(value, list | tuple) else ()
    open_ended = len(ends) == 2 and any(v is None or (isinstance(v, float) and not math.isfinite(v)) for v in ends)
    return None if open_ended else value


Number = Annotated[float | None, AfterValidator(_finite)]
"""A number on disk; null, nan and infinite are none."""
Interval = Annotated[tuple[float, float] | None, BeforeValidator(_whole_pair)]
"""Low and high on disk."""


class MeasuredFigure(ShownRecord):
    """What one figure is: the metric set it belongs to, what better means, how many decimals it is printed with."""

    group: str = Field(default="", alias="set")
    better: Literal["higher", "lower", "neither"] = "neither"
    about: str = ""
    digits: int = Field(default=2, ge=0, le=8)


class TrainingCost(ShownRecord):
    """What a model's training took."""

    tokens: Number = None
    seconds: Number = None
    flops: Number = None


class EvaluatedModel(ShownRecord):
    """One model's figures with their intervals, what it was trained on, and what that took."""

    name: str
    label: str = ""
    n: Number = None
    values: dict[str, Number]
    intervals: dict[str, Interval] = Field(default_factory=dict)
    share_of_data: Number = None
    training: TrainingCost | None = None

    @property
    def title(self) -> str:
        """What the model is called on the page."""
        return self.label or self.name


class PairedTest(ShownRecord):
    """A model's figure less the baseline's, over the same dialogues; `p_holm` is corrected for the other tests."""

    model: str
    metric: str
    difference: Number = None
    interval: Interval = None
    p: Number = None
    p_holm: Number = None


class Turn(ShownRecord):
    """A turn of a context."""

    role: str = ""
    text: str = ""


class EvaluatedExample(ShownRecord):
    """A sample on which models differ, and what each of them said."""

    sample_id: str = ""
    context: list[Turn] = Field(default_factory=list)
    reference: str = ""
    responses: dict[str, str | None]
    why: str = ""


class EvaluationRecord(ShownRecord):
    """`evaluation.json`."""

    n: Number = None
    part: str = ""
    dialogues: Number = None
    baseline: str = ""
    resamples: Number = None
    confidence: float = Field(default=0.95, gt=0, lt=1)
    metrics: dict[str, MeasuredFigure] = Field(default_factory=dict)
    about: dict[str, Any] = Field(default_factory=dict)
    models: list[EvaluatedModel] = Field(min_length=1)
    tests: list[PairedTest] = Field(default_factory=list)
    examples: list[EvaluatedExample] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
