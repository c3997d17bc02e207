"""What training, mixing and generation leave in a run's folder, as far as the report reads it.

The report never imports those rooms: it meets their files. A file that is missing a number is shown without it; one
that cannot be understood is named in a sentence and the rest of the page stands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

ALL = "all"
"""The name under which losses over all held-out samples stand."""

_SUBSETS = ("sensibility", "rationality", "both", "discard")
_MODELS = ("base", *_SUBSETS[:3], "union", ALL, "random", "discard", "average", "moe_untrained", "moe")
_REASON = 200


class Record(BaseModel):
    """A part of a file; keys that the report does not show are let pass, and null is as good as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


class Template(Record):
    """The prompt template that a model was trained or asked with."""

    name: str = ""
    hash: str = ""


class Step(Record):
    """A logged step of training; the loss is the mean since the one before, in nats per token."""

    step: float
    loss: float | None = None


class Tokens(Record):
    """How many tokens a training saw."""

    response: float | None = None
    all: float | None = None


class Evaluation(Record):
    """Held-out losses after a step, by subset, in nats per response token."""

    step: float
    loss: dict[str, float | None]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        """On disk the losses stand beside the step."""
        if not isinstance(value, dict) or "loss" in value:
            return value
        return {"step": value.get("step"), "loss": {k: v for k, v in value.items() if k not in ("step", "epoch")}}


class TrainingRecord(Record):
    """`experts/<name>/training.json`."""

    name: str = ""
    subset: str = ""
    base: str = ""
    base_hash: str = ""
    method: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    template: Template = Template()
    samples: float | None = None
    dialogues: float | None = None
    tokens: Tokens = Tokens()
    steps: float | None = None
    seconds: float | None = None
    device: str = ""
    precision: str = ""
    parameters: float | None = None
    trainable_parameters: float | None = None
    history: list[Step] = Field(default_factory=list)
    held_out: list[Evaluation] = Field(default_factory=list)


class Size(Record):
    """How much a loss is measured on."""

    samples: float | None = None
    tokens: float | None = None


class ComparedModel(Record):
    """One row of the comparison."""

    name: str
    label: str = ""
    loss: dict[str, float | None]
    interval: dict[str, tuple[float, float] | None] = Field(default_factory=dict)
    parameters: float | None = None
    active_parameters: float | None = None
    bytes: float | None = None
    tokens_per_second: float | None = None

    @property
    def title(self) -> str:
        """What the model is called on the page."""
        return self.label or self.name


class Verdict(Record):
    """Whether the mixing was worth it."""

    best: str = ""
    moe_beats_average: bool | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    text: str = ""


class ComparisonRecord(Record):
    """`comparison.json`."""

    subsets: dict[str, Size] = Field(default_factory=dict)
    models: list[ComparedModel] = Field(min_length=1)
    verdict: Verdict | None = None
    part: str = ""


class RouterRecord(Record):
    """`moe/routers.json`: `usage` has a row a layer and a number an expert, `entropy` a number a layer in nats."""

    layers: int = Field(ge=1)
    experts: list[str] = Field(min_length=1)
    top_k: int | None = None
    init: str = ""
    train: str = ""
    history: list[Step] = Field(default_factory=list)
    moved: list[str] = Field(default_factory=list)
    unmoved: int | None = None
    usage: dict[str, list[list[float]]] = Field(default_factory=dict)
    entropy: dict[str, list[float]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        for subset, rows in self.usage.items():
            if len(rows) != self.layers or any(len(row) != len(self.experts) for row in rows):
                raise ValueError(f"usage of {subset} is not {self.layers} layers by {len(self.experts)} experts")
        for subset, values in self.entropy.items():
            if len(values) != self.layers:
                raise ValueError(f"entropy of {subset} has {len(values)} layers, not {self.layers}")
        return self


class GenerationRecord(Record):
    """`generations/<model>.json`."""

    label: str = ""
    template: Template = Template()
    decoding: dict[str, Any] = Field(default_factory=dict)
    seconds: float | None = None
    tokens_per_second: float | None = None
    backend: str = ""


AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


def read_record(path: Path, kind: type[AnyRecord], shown: str) -> AnyRecord | str:
    """The record in a file, or the sentence that says why it is not shown; `shown` is the file's name in it."""
    try:
        return kind.model_validate_json(path.read_bytes(), context={"file": path})
    except OSError as error:
        return f"{shown} cannot be read ({error.strerror or error})."
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        return f"{shown} cannot be shown ({f'{place}: ' if place else ''}{first['msg']})."[:_REASON]


def by_subset(names: set[str] | dict[str, Any]) -> list[str]:
    """Subsets in the order of the page; over all of them last."""
    return sorted(names, key=lambda name: (name == ALL, _rank(name, _SUBSETS), name))


def by_model(names: set[str] | dict[str, Any]) -> list[str]:
    """Models in the order of the comparison: what is compared with first, the MoE last, others between."""
    return sorted(names, key=lambda name: (name.startswith("moe"), _rank(name, _MODELS), name))


def _rank(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
