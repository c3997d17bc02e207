"""What `sweep` and `tune` leave in a run's folder, as far as the report reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from efficient_empathy.evaluation.record import MeasuredFigure
from efficient_empathy.foundation.run.record import Interval, Number
from efficient_empathy.report.reading import ShownRecord

Count = Annotated[float, Field(ge=0)]


class Thresholds(ShownRecord):
    """The two thresholds of a selection."""

    alpha: float
    beta: float

    def __str__(self) -> str:
        return f"α\u00a0=\u00a0{self.alpha:g}, β\u00a0=\u00a0{self.beta:g}"


class Difference(ShownRecord):
    """How much lower or higher something is than by default, with its interval."""

    value: Number = None
    low: Number = None
    high: Number = None


class TrainedCell(ShownRecord):
    """What the model of one selection reached: losses in nats per response token, `against` others on all samples."""

    values: dict[str, Number] = Field(default_factory=dict)
    subset_losses: dict[str, Number] = Field(default_factory=dict)
    against: dict[str, Difference] = Field(default_factory=dict)


class SweptCell(ShownRecord):
    """The selection under one pair of thresholds; overlaps are Jaccard indices with the default's."""

    policy: str = ""
    alpha: float
    beta: float
    subsets: dict[str, Count] = Field(default_factory=dict)
    kept_share: Number = None
    jaccard: dict[str, Number] = Field(default_factory=dict)
    kept_jaccard: Number = None
    categories: dict[str, dict[str, Count]] = Field(default_factory=dict)
    trained: TrainedCell | None = None

    @property
    def reached(self) -> TrainedCell:
        """What the cell's model reached; of a cell that was not trained on, nothing."""
        return self.trained or TrainedCell()


class SweptBaseline(TrainedCell):
    """A selection without thresholds that the cells are compared with."""

    name: str
    samples: Number = None

    @property
    def reached(self) -> TrainedCell:
        """What its model reached."""
        return self


class CategoryOrder(Thresholds):
    """How far the categories' shares stand in the same order as by default, by two rank correlations."""

    policy: str = ""
    spearman: Number = None
    kendall: Number = None


class SweptModels(ShownRecord):
    """Whether the models' order holds: the best cell, and how many cells are surely below each baseline."""

    best: str = ""
    best_in_draws: Number = None
    better_than: dict[str, Number] = Field(default_factory=dict)
    cells: Number = None
    range: dict[str, Interval] = Field(default_factory=dict)


class RankStability(ShownRecord):
    """Of every subset the cell whose order of categories is farthest from the default's."""

    lowest: dict[str, CategoryOrder] = Field(default_factory=dict)
    models: SweptModels = SweptModels()


class SweepTraining(ShownRecord):
    """What the models of a sweep were trained on, and what their figures are."""

    subset: str = ""
    figures: dict[str, MeasuredFigure] = Field(default_factory=dict)


class SweepRecord(ShownRecord):
    """`sweep/sweep.json`."""

    policy: str = ""
    default: Thresholds | None = None
    samples: Number = None
    cells: list[SweptCell] = Field(min_length=1)
    baselines: list[SweptBaseline] = Field(default_factory=list)
    training: SweepTraining = SweepTraining()
    rank_stability: RankStability = RankStability()


class Fold(Thresholds):
    """What one fold chose, and its value and the default's on the dialogues that were left out."""

    value: Number = None
    default_value: Number = None


class TunedCell(Thresholds):
    """One pair of thresholds that could have been chosen, and its value on all samples."""

    value: Number = None


class TuningTarget(ShownRecord):
    """What the thresholds were chosen for."""

    kind: str = ""
    amount: Number = None
    subset: str = ""


class TuningRecord(ShownRecord):
    """`tuning/tuning.json`."""

    target: TuningTarget = TuningTarget()
    chosen: Thresholds
    default: Thresholds | None = None
    folds: list[Fold] = Field(default_factory=list)
    value: Number = None
    spread: Number = None
    default_value: Number = None
    difference: Difference | None = None
    """Below 0 the choice is nearer to the target, or has the lower value."""
    cells: list[TunedCell] = Field(default_factory=list)
    better_than_default: bool | None = None
    text: str = ""
