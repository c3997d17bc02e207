"""`evaluation.json`: models, their figures with intervals, tests against a baseline, and examples."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue

from efficient_empathy.foundation.run.record import Interval, Number, Part, Record, StageRecord


class MeasuredFigure(Part):
    """What one figure is: the metric it belongs to, what better means, how many decimals it is printed with."""

    group: str = ""
    better: Literal["higher", "lower", "neither"] = "neither"
    about: str = ""
    digits: int = Field(default=2, ge=0, le=8)
    bounds: tuple[float, float] | None = None
    """The lowest and the highest value that there can be."""


class TrainingCost(Part):
    """What a model's training took. FLOPs are those of the forward and backward passes, as the records say."""

    tokens: Number = None
    seconds: Number = None
    flops: Number = None


class EvaluatedModel(Part):
    """One model's figures with their intervals, what it was trained on, and what that took."""

    name: str
    label: str = ""
    n: int
    values: dict[str, Number]
    intervals: dict[str, Interval] = Field(default_factory=dict)
    commonest: dict[str, str] = Field(default_factory=dict)
    """Of `top_reply` and `top_opening`, the reply and the opening that they are of."""
    share_of_data: Number = None
    """Samples trained on ÷ samples that there were to train on."""
    training: TrainingCost | None = None

    @property
    def title(self) -> str:
        """What the model is called."""
        return self.label or self.name


class PairedTest(Part):
    """A model's figure less the baseline's, over the same dialogues; `p_holm` is corrected for the other tests."""

    model: str
    metric: str
    difference: Number
    interval: Interval
    p: Number
    p_holm: Number


class Turn(Part):
    """A turn of a context."""

    role: str
    text: str


class EvaluatedExample(Part):
    """A sample on which models differ, and what each of them responded."""

    sample_id: str
    context: tuple[Turn, ...] = ()
    reference: str
    responses: dict[str, str]
    why: str


class EvaluationRecord(Record):
    """`evaluation.json`."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "evaluation.json"
    REMEDY: ClassVar[str] = "`efficient-empathy evaluate`"

    n: int
    """Responses of each model."""
    part: str = ""
    """Which samples of a run were answered: test, held_out or all; empty of files."""
    dialogues: int
    baseline: str
    resamples: int
    """0: there are neither intervals nor tests."""
    seed: int = 0
    confidence: float = Field(default=0.95, gt=0, lt=1)
    metrics: dict[str, MeasuredFigure]
    """By figure."""
    about: dict[str, dict[str, Any]]
    """By metric, what a reader must know to get the same numbers."""
    models: tuple[EvaluatedModel, ...] = Field(min_length=1)
    references: dict[str, Number] = Field(default_factory=dict)
    """The figures of the references as if they were a model's replies, where a metric reads replies alone."""
    tests: tuple[PairedTest, ...] = ()
    examples: tuple[EvaluatedExample, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def titles(self) -> dict[str, str]:
        """What each model is called, by its name."""
        return {model.name: model.title for model in self.models}

    def is_significant(self, test: PairedTest) -> bool:
        """Whether a difference to the baseline is marked: its corrected p-value is below 1 − confidence, and it is not
        nought as the figure is shown. A BLEU-4 of 10⁻³ differs surely from one of 10⁻⁶, and is no better for anybody.
        """
        if test.p_holm is None or test.difference is None or test.p_holm >= round(1 - self.confidence, 6):
            return False
        return round(test.difference, self.metrics.get(test.metric, MeasuredFigure()).digits) != 0


class EvaluateRecord(StageRecord):
    """The stage `evaluate`; the figures are in `evaluation.json`."""

    STAGE: ClassVar[str] = "evaluate"
    REMEDY: ClassVar[str] = "`efficient-empathy evaluate`"

    inputs: dict[str, str]
    """Hashes by file name, the models' labels by name, and what the metrics read besides."""
    parameters: dict[str, JsonValue]
    """`EvaluationSettings` as plain values, without secrets."""
    n: int
    models: tuple[str, ...]
    seconds: float


class EvaluationResult(EvaluationRecord):
    """What `evaluate` did for a run: the record, where it lies, how long it took, and whether nothing had changed."""

    path: str
    seconds: float
    skipped: bool

    @property
    def record(self) -> EvaluationRecord:
        """The file's content alone."""
        return EvaluationRecord(**{name: getattr(self, name) for name in EvaluationRecord.model_fields})
