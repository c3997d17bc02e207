"""What `sweep` and `tune` write: `sweep/sweep.json`, `tuning/tuning.json`, and `model.json` of each trained model."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue

from efficient_empathy.foundation.run.record import Part, Record, StageRecord

Number = float | None
"""A number, None where it is not finite."""


class Difference(Part):
    """By how much something is above what it is compared with, with its 95 % interval."""

    value: Number
    low: Number
    high: Number


class RankAgreement(Part):
    """Spearman's ρ and Kendall's τ_b; None where one side is constant."""

    spearman: Number
    kendall: Number


class ModelRecord(Record):
    """`model.json`: how a model was trained that is kept for its figures alone."""

    PLACE: ClassVar[str] = "model.json of a model trained for its figures"
    REMEDY = "the same command again, after deleting the folder"

    samples: int
    steps: int
    tokens: dict[str, Number]
    """Of the responses, and all."""
    seconds: float
    parameters: int
    device: str
    precision: str
    too_long: int | None = None
    """Samples left out because they are too long."""
    flops: float
    generation: dict[str, Any] | None = None
    """The settings that its responses were generated with."""


class TrainedModel(Part):
    """What the model of one selection reached; losses in nats a response token."""

    key: str
    """Its folder's name."""
    samples: int
    steps: int
    tokens: dict[str, Number]
    seconds: float
    flops: float
    values: dict[str, Number]
    """The held-out loss, and the metrics of its responses where they were asked for."""
    interval: tuple[Number, Number]
    """Of the loss, 95 %."""
    subset_losses: dict[str, Number]
    """By subset of the default selection, and `all`."""
    against: dict[str, Difference]
    """By how much its loss is above the default cell's and each kind of baseline, paired."""


class Baseline(TrainedModel):
    """The model of a selection without thresholds."""

    name: str


class SweptPolicy(Part):
    """A policy of the sweep: its own thresholds, and what they went through."""

    name: str
    thresholds: dict[str, float]
    grid: dict[str, tuple[float, ...]]
    """By threshold the values that it took."""
    axes: dict[str, tuple[str, ...]]
    """By threshold the axes that it is compared with."""
    subsets: tuple[str, ...]
    otherwise: str
    """The subset that is left out."""


class SweptCell(Part):
    """A selection at one combination of thresholds; overlaps are Jaccard indices with the default's."""

    policy: str
    thresholds: dict[str, float]
    subsets: dict[str, int]
    kept_share: float
    jaccard: dict[str, float]
    kept_jaccard: float
    categories: dict[str, dict[str, int]]
    """By category how many of its samples each subset has."""
    model: TrainedModel | None = None
    untrained: str = ""
    """Why there is no model, where models were trained."""


class CellOrder(Part):
    """How the categories' order in one cell agrees with the default's, for `union` and each common subset."""

    policy: str
    thresholds: dict[str, float]
    agreement: dict[str, RankAgreement]


class FarthestOrder(RankAgreement):
    """The cell whose order of categories is farthest from the default's."""

    policy: str
    thresholds: dict[str, float]


class ModelOrder(Part):
    """All models together: their order, and whether it holds."""

    order: tuple[str, ...]
    range: dict[str, tuple[Number, Number]]
    """The lowest and highest loss of the cells, and of each baseline with several seeds."""
    agreement: dict[str, Number] = Field(default_factory=dict)
    """Kendall's τ_b between the cells' order on all and on each subset."""
    best: str | None = None
    best_in_draws: Number = None
    """The share of draws of dialogues in which the best cell is the best."""
    better_than: dict[str, int] = Field(default_factory=dict)
    """How many cells lie below each baseline with their whole interval."""
    cells: int = 0


class RankStability(Part):
    """Whether orders hold over the grid."""

    measure: str
    cells: tuple[CellOrder, ...]
    lowest: dict[str, FarthestOrder]
    models: ModelOrder | None = None


class MeasuredFigure(Part):
    """What a figure of the models is."""

    better: Literal["higher", "lower", "neither"]
    about: str
    digits: int


class HeldOut(Part):
    """What the losses are measured on."""

    samples: int
    dialogues: int
    subsets: dict[str, int]


class SweepTraining(Part):
    """How the models of a sweep were trained and measured."""

    subset: str
    base: str
    distinct_models: int
    held_out: HeldOut
    figures: dict[str, MeasuredFigure]
    settings: dict[str, Any]


class SweepRecord(Record):
    """`sweep/sweep.json`. The default cell is the first policy at its own thresholds."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "sweep/sweep.json"
    REMEDY = "`efficient-empathy sweep`"

    policies: tuple[SweptPolicy, ...]
    decided_on: str
    samples: int
    """Those with scores."""
    unscored: int
    categories: tuple[str, ...]
    cells: tuple[SweptCell, ...]
    rank_stability: RankStability
    baselines: tuple[Baseline, ...] = ()
    default_model: TrainedModel | None = None
    training: SweepTraining | None = None

    @property
    def default(self) -> SweptPolicy:
        """The policy whose own thresholds the cells are compared with."""
        return self.policies[0]

    def is_default(self, cell: SweptCell) -> bool:
        """Whether a cell is the default."""
        return cell.policy == self.default.name and cell.thresholds == self.default.thresholds


class SweepOrigin(Part):
    """What a sweep depends on; `training` is None for one that trained nothing."""

    selected: dict[str, JsonValue]
    training: dict[str, JsonValue] | None


class SweepStageRecord(StageRecord):
    """The stage `sweep`."""

    STAGE: ClassVar[str] = "sweep"
    REMEDY: ClassVar[str] = "`efficient-empathy sweep`"

    made_from: SweepOrigin
    cells: int
    seconds: float


class TuneRecord(StageRecord):
    """The stage `tune`."""

    STAGE: ClassVar[str] = "tune"
    REMEDY: ClassVar[str] = "`efficient-empathy tune`"

    made_from: dict[str, JsonValue]
    seconds: float


class TuningTarget(Part):
    """What thresholds were chosen for, of which subset."""

    kind: str
    amount: float | None = None
    subset: str


class FoldChoice(Part):
    """What was chosen without one fold, and its value and the default's on that fold."""

    thresholds: dict[str, float]
    value: Number
    default_value: Number


class TunedCell(Part):
    """Thresholds that could have been chosen, and their value on all samples."""

    thresholds: dict[str, float]
    value: Number


class TuningRecord(Record):
    """`tuning/tuning.json`."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "tuning/tuning.json"
    REMEDY = "`efficient-empathy tune`"

    target: TuningTarget
    policy: str
    axes: dict[str, tuple[str, ...]]
    """By threshold the axes that it is compared with."""
    decided_on: str
    choice: dict[str, float]
    default: dict[str, float]
    choice_on_all: Number
    default_on_all: Number
    folds: tuple[FoldChoice, ...]
    value: Number
    """On all samples, each judged by the choice that was made without its fold."""
    spread: Number
    default_value: Number
    difference: Difference
    """Below 0 the choice is nearer to the target, or has the lower value."""
    better_than_default: bool
    subsets: dict[str, int]
    """At the chosen thresholds."""
    cells: tuple[TunedCell, ...]
    text: str
    """The verdict in a sentence."""
