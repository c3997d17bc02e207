"""The records of mixing: what a folder was composed of, what its routers do, and how all models compare."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from efficient_empathy.foundation.run.record import Part, Record, StageRecord
from efficient_empathy.modelling.training.record import LoggedStep, TokenCount

BASE, AVERAGE, TIES, UNTRAINED, MIXED = "base", "average", "ties", "moe_untrained", "moe"
"""The names of the models that a comparison has beside the experts."""
TrainedPart = Literal["gates", "gates+gate_proj", "none"]
Start = Literal["zero", "given", "centred_means"]
_MIXTURE_LABELS = {"gates": "MoE, routers trained", "gates+gate_proj": "MoE, routers and gate_proj trained"}
LABELS = {
    BASE: "Base model",
    AVERAGE: "Average of the experts",
    TIES: "TIES merge of the experts",
    UNTRAINED: "MoE, routers untrained",
    MIXED: _MIXTURE_LABELS["gates"],
}
"""What they are called in tables."""
COMPOSITION, ROUTERS = "composition.json", "routers.json"


def mixture_label(train: str) -> str:
    """What a mixture is called whose `train` was trained."""
    return _MIXTURE_LABELS[train]


class RouterTraining(Part):
    """How the routers of a mixture were trained."""

    key: str
    """What the trained mixture is known by."""
    train: TrainedPart
    router_data: str
    samples: int = Field(ge=0)
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    tokens: TokenCount
    trainable_parameters: int = Field(ge=0)
    history: tuple[LoggedStep, ...]
    changed_tensors: tuple[str, ...]
    """The parameters that training changed."""
    unchanged_count: int = Field(ge=0)
    """How many parameters are bit by bit as they were."""


class CompositionRecord(Record):
    """`composition.json` in every folder that is composed: from what, and how."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "moe/composition.json"
    REMEDY: ClassVar[str] = "`efficient-empathy mix`"

    kind: Literal["moe", "average", "ties", "merged"]
    """A mixture, the average of several models, their TIES merge, or one expert merged into its base."""
    family: str
    """The model type of the result."""
    experts: tuple[str, ...] = Field(min_length=1)
    key: str = ""
    """What the composition is known by."""
    dtype: str
    parameters: int = Field(ge=0)
    end_of_turn: tuple[int, ...]
    """The tokens at which generation stops."""
    shared: str | None = None
    """Of a mixture: where all outside the feed-forward blocks comes from."""
    top_k: int | None = None
    """Of a mixture: the experts that each token goes through."""
    routers: Start | None = None
    """Of a mixture: where its routers start."""
    training: RouterTraining | None = None
    """Of a mixture whose routers were trained."""


class CompositionResult(CompositionRecord):
    """What composing wrote: the record, the folder, and its weights' bytes."""

    path: str
    bytes: int


class RouterRecord(Record):
    """`moe/routers.json`: `usage` has a row a layer and a number an expert, `entropy` a number a layer in nats."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "moe/routers.json"
    REMEDY: ClassVar[str] = "`efficient-empathy mix`"

    layers: int = Field(ge=1)
    experts: tuple[str, ...] = Field(min_length=1)
    top_k: int
    init: Start
    train: TrainedPart
    history: tuple[LoggedStep, ...] = ()
    changed_tensors: tuple[str, ...] = ()
    unchanged_count: int | None = None
    usage: dict[str, list[list[float | None]]]
    """By subset: the mean weight of each expert at response tokens; None where it is not finite."""
    entropy: dict[str, list[float | None]]
    """By subset: the mean entropy of the routers' softmax."""

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        for subset, rows in self.usage.items():
            if len(rows) != self.layers or any(len(row) != len(self.experts) for row in rows):
                raise ValueError(f"usage of {subset} is not {self.layers} layers by {len(self.experts)} experts")
        for subset, values in self.entropy.items():
            if len(values) != self.layers:
                raise ValueError(f"entropy of {subset} has {len(values)} layers, not {self.layers}")
        return self


class Size(Part):
    """How much a loss is measured on."""

    samples: int
    tokens: int


class ComparedModel(Part):
    """A model of the comparison."""

    name: str
    label: str
    path: str
    loss: dict[str, float | None]
    """Mean nats a response token, by subset and over `all`."""
    interval: dict[str, tuple[float, float] | None]
    """95 % intervals of these."""
    parameters: int
    active_parameters: int
    """Those that one token goes through."""
    bytes: int
    rounding: dict[str, float] | None = None
    """Of an adapter that was merged to be measured: what rounding it to what it is stored as added to each loss."""


class Verdict(Part):
    """Whether the mixing was worth it."""

    best: str
    """The model with the lowest loss over all samples."""
    moe_beats_average: bool
    difference: float
    """Loss of the mixture less that of the average, in nats a token."""
    interval: tuple[float, float]
    text: str


class ComparisonRecord(Record):
    """`comparison.json`."""

    VERSION: ClassVar[int] = 2
    PLACE: ClassVar[str] = "comparison.json"
    REMEDY: ClassVar[str] = "`efficient-empathy mix`"

    subsets: dict[str, Size]
    models: tuple[ComparedModel, ...] = Field(min_length=1)
    verdict: Verdict
    notes: tuple[str, ...] = ()
    """What storing took from the models, as sentences."""
    seed: int
    part: str
    """The samples that were measured on."""


class MixRecord(StageRecord):
    """The stage `mix`: which experts were mixed, from what, and what came of it."""

    STAGE: ClassVar[str] = "mix"
    REMEDY: ClassVar[str] = "`efficient-empathy mix`"

    inputs: dict[str, str]
    """Hashes of the models, of the composition, of the training and of the samples that are held out."""
    sources: dict[str, str]
    """SHA-256 by path of the run's files that were read."""
    parameters: dict[str, JsonValue]
    """`MixSettings` as plain values."""
    experts: tuple[str, ...]
    verdict: Verdict
    seconds: float


class RouterSummary(Part):
    """What `mix` says of the routers; the rest is in `moe/routers.json`."""

    init: Start
    train: TrainedPart
    changed_tensors: tuple[str, ...]
    unchanged_count: int | None
    usage: dict[str, list[list[float | None]]]
    entropy: dict[str, list[float | None]]


class MixResult(Part):
    """What `mix` did: where the mixture, the merges and the comparison are, and how the models compare."""

    path: str
    average: str
    ties: str | None
    """Where the TIES merge is, if it was asked for."""
    comparison: str
    experts: tuple[str, ...]
    subsets: dict[str, Size]
    models: tuple[ComparedModel, ...]
    verdict: Verdict
    notes: tuple[str, ...]
    routers: RouterSummary
    seconds: float
    skipped: bool
