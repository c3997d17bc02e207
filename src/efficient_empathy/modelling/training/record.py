"""The records of training: what a fit was (`fitted.json`), and what an expert is (`training.json`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, JsonValue

from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.record import Part, Record, StageRecord
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.training.settings import TrainingSettings

if TYPE_CHECKING:
    from efficient_empathy.llm.prompting import PromptTemplate

ALL = "all"
"""The name under which losses over all held-out samples stand."""
UNION, RANDOM = "union", "random"
GROUPS = (ALL, UNION, RANDOM)
"""What may be trained on beside the policy's own subsets: everything, all that is selected, a random part of all."""
_LABELS = {ALL: "One model on all samples", UNION: "One adapter on the union", RANDOM: "One model on random samples"}


class TemplateRecord(Part):
    """The prompt template that a model was trained with or asked in."""

    name: str
    hash: str

    @classmethod
    def of(cls, template: PromptTemplate) -> Self:
        """What is written down of a template."""
        return cls(name=template.name, hash=template.hash)


class LoggedStep(Part):
    """A line of a training's history."""

    step: int = Field(ge=0)
    epoch: float | None = None
    loss: float | None = None
    """Mean nats a response token since the line before; None where it was not finite."""
    learning_rate: float | None = None


class HeldOutLoss(Part):
    """Held-out losses after a step."""

    step: int = Field(ge=0)
    """0 is before training."""
    loss: dict[str, float | None]
    """Mean nats a response token, by subset and over `all`."""


class TokenCount(Part):
    """Tokens that were seen while training, padding not counted."""

    response: int = Field(ge=0)
    all: int = Field(ge=0)


class FitRecord(Record):
    """How a fit went."""

    PLACE: ClassVar[str] = "experts/.NAME.work/fitted.json"
    REMEDY: ClassVar[str] = "the same command again (it goes on where it stopped)"

    history: tuple[LoggedStep, ...]
    held_out: tuple[HeldOutLoss, ...]
    seconds: float = Field(ge=0)
    """Of training, earlier sittings included."""
    tokens: TokenCount
    steps: int = Field(ge=0)
    samples: int = Field(ge=0)
    truncated: int = 0
    """Samples that lost their oldest turns to `max_length`."""
    too_long: int = 0
    """Samples left out, since their response alone exceeds `max_length`."""
    parameters: int = Field(ge=0)
    trainable_parameters: int = Field(ge=0)
    precision: str
    device: str
    resumed_from: int = 0
    """The checkpoint's step that the last sitting went on from."""


class TriedRate(Part):
    """A learning rate that was tried, of `try_learning_rates`."""

    learning_rate: float = Field(gt=0)
    loss: float | None = None
    """Mean nats a response token at the end, on held-out samples of the expert's own subset; None where it failed."""
    seconds: float = Field(default=0, ge=0)


class Origin(Part):
    """What an expert was made from; the same origin gives the same expert."""

    inputs: dict[str, str] = Field(min_length=1)
    """Hashes of the data, the base and the template."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """The settings that matter, the subset and its size."""


class TrainingRecord(FitRecord):
    """`experts/NAME/training.json`: a folder of experts with this file in it is whole."""

    PLACE: ClassVar[str] = "experts/NAME/training.json"
    REMEDY: ClassVar[str] = "`efficient-empathy train`"

    name: str
    subset: str
    """One of the policy's, or of `GROUPS`."""
    base: str
    """The folder or the hub name of the base model."""
    base_hash: str
    method: str
    settings: TrainingSettings
    template: TemplateRecord
    dialogues: int = Field(ge=0)
    flops: float = Field(ge=0)
    """6 × parameters × tokens (Kaplan et al. 2020, arXiv 2001.08361)."""
    tried: tuple[TriedRate, ...] = ()
    """The learning rates that were tried, where there were several; the settings have the one that was kept."""
    made_from: Origin
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of the weights and of what is loaded with them, by name."""

    @property
    def label(self) -> str:
        """What the model is called in tables."""
        return _LABELS.get(self.subset) or f"{self.name.capitalize()} expert"


class TrainRecord(StageRecord):
    """The stage `train:NAME`; the rest is in `experts/NAME/training.json`."""

    STAGE: ClassVar[str] = "train"
    REMEDY: ClassVar[str] = TrainingRecord.REMEDY

    inputs: dict[str, str]
    """SHA-256 by path of the run's files that the samples were read from."""
    made_from: Origin
    subset: str
    method: str
    base: str
    samples: int
    steps: int
    tokens: TokenCount
    flops: float
    seconds: float
    device: str


class TrainingResult(TrainingRecord):
    """What `train` did: the record, the expert's folder, and whether nothing had changed."""

    path: str
    skipped: bool


TRAINING = "training.json"


def has_files_of(folder: Path, record: TrainingRecord | None) -> bool:
    """Whether the expert in a folder is, byte by byte, the one that its record is about."""
    if record is None or not record.files:
        return False
    paths = {folder / name: sha256 for name, sha256 in record.files.items()}
    return all(path.is_file() and file_hash(path) == sha256 for path, sha256 in paths.items())


def read_training(folder: Path) -> TrainingRecord | None:
    """The record of the expert in a folder, None where it has none. Raises `UserError` for a broken one."""
    return TrainingRecord.read_if_there(folder / TRAINING)


def last_training(workspace: Workspace) -> TrainingRecord | None:
    """The record of the run's expert that was trained last, None where it has none. Raises `UserError`."""
    manifest = workspace.manifest()
    trainings = read_trainings(workspace.experts)
    by_time = sorted(trainings, key=lambda name: manifest.finished_at(f"{TrainRecord.STAGE}:{name}"))
    return trainings[by_time[-1]] if by_time else None


def read_trainings(experts: Path) -> dict[str, TrainingRecord]:
    """The records of a run's experts by the names of their folders, in the order of these. Raises `UserError`."""
    return {path.parent.name: TrainingRecord.read(path) for path in sorted(experts.glob(f"[!.]*/{TRAINING}"))}
