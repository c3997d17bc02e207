"""The settings of `sweep` and `tune`, and of the models that they train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from efficient_empathy.evaluation.classifiers.kinds import classifier_folders
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.robustness.grid import Ranges, threshold_values
from efficient_empathy.evaluation.robustness.labels import UNION
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds, Reads, load_settings, needs_of
from efficient_empathy.foundation.permissions import require
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import Flag, Settings, load, read
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.policies import Decide

PROXY: dict[str, Any] = {"learning_rate": 1e-3, "max_length": 256, "save_every": 0, "max_held_out": 500}
"""What a proxy is trained with, unless other settings are given."""


def _checked(value: Any) -> tuple[float, ...]:
    """`threshold_values`, with errors as pydantic wants them."""
    try:
        return threshold_values(value)
    except UserError as error:
        raise ValueError(str(error)) from error


def _as_tuple(value: Any) -> Any:
    """One policy's name as a tuple of one."""
    return (value,) if isinstance(value, str) else value


Values = Annotated[tuple[float, ...], BeforeValidator(_checked)]
Range = Annotated[Values, Flag(metavar="RANGE")]


class GridSettings(Settings):
    """The thresholds that are moved, and what decides."""

    grids: Annotated[dict[str, Values], Flag("--grid", metavar="THRESHOLD=RANGE")] = Field(default_factory=dict)
    """The values of a threshold: alpha=3:7, alpha=3:7:0.5, or alpha=3,5,7 (in YAML a list, or a range in quotes)."""
    alphas: Range | None = None
    """Short for --grid alpha=RANGE."""
    betas: Range | None = None
    """Short for --grid beta=RANGE."""
    decide: Decide | None = None
    """Decide on auto, scores or probabilities; as in the run's selection by default."""
    seed: int = Field(default=0, ge=0)
    """Breaks ties, draws dialogues and folds."""
    resamples: int = Field(default=1000, ge=1)
    """Draws of dialogues for intervals."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for name, short in (("alpha", self.alphas), ("beta", self.betas)):
            if short is not None and name in self.grids:
                raise ValueError(f"the values of {name} are given twice, in grids and in {name}s: leave one out")
        return self

    @property
    def ranges(self) -> Ranges:
        """By threshold the values that are named."""
        short = {"alpha": self.alphas, "beta": self.betas}
        return {**self.grids, **{name: values for name, values in short.items() if values is not None}}


class SweepSettings(GridSettings):
    """A grid of cells, and whether each of them is trained on."""

    policy: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Reads(), Flag(metavar="POLICY", repeats=True)] = (
        "paper",
    )
    """A policy by name or YAML file, or several. The default cell is the first one's, at its own thresholds; a
    threshold without values takes its own, and up to two steps below and above."""
    train: bool = False
    """Train and measure a model on the subset of every cell, and baselines (extra train)."""
    subset: str | None = None
    """With train: the subset that is trained on, or union; the default policy's first by default."""
    seeds: int = Field(default=3, ge=0)
    """With train: random baselines of each kind."""
    metrics: tuple[str, ...] = ()
    """With train: every model also answers the run's test samples, measured by these, such as official,texts."""
    epitome: Path | None = None
    """With metrics: for epitome, the folder that `fit-metric epitome` made."""
    emotion: Path | None = None
    """With metrics: for emotion, the folder that `fit-metric emotion` made."""
    keep: bool = False
    """With train: keep the weights of every model."""

    @property
    def metric_options(self) -> MetricOptions:
        """The metrics' options."""
        return MetricOptions(classifiers=classifier_folders(self))


class TuneSettings(GridSettings):
    """Thresholds for a target."""

    target: str
    """share=0.6, samples=20000, balance, or proxy-loss."""
    policy: Annotated[str, Reads()] = "paper"
    """Whose thresholds are chosen: a policy by name or YAML file. A threshold without values takes the inside of its
    scale; for proxy-loss, where every cell costs trainings, its own, and two steps below and above."""
    subset: str = UNION
    """What is shared, counted, balanced or trained on: union (all that is kept), or one of the policy's subsets."""
    folds: int = Field(default=5, ge=2)
    """Parts of the dialogues that thresholds are cross-validated on."""
    tolerance: float = Field(default=0.05, ge=0, le=1)
    """share, samples: how far off the nearest cell may be, as a share of all samples."""
    least: float = Field(default=0.5, ge=0, le=1)
    """balance: the least share of all samples."""
    most: float = Field(default=1.0, gt=0, le=1)
    """balance: the most."""
    proxy_steps: int = Field(default=20, ge=1)
    """proxy-loss: optimiser steps of each proxy model."""


def training_settings(
    workspace: Workspace, file: Path | None = None, changes: Mapping[str, Any] | None = None
) -> TrainingSettings:
    """How a sweep's models are trained: a file's settings, else the run's recipe's section `train`, with `changes`.

    Raises `UserError`.
    """
    own = {} if file is not None else _section(workspace, "train", TrainingSettings)
    return load_settings(TrainingSettings, file, "the training settings", {**own, **(changes or {})})


def generation_settings(workspace: Workspace, changes: Mapping[str, Any] | None = None) -> GenerationSettings:
    """How a sweep's models answer: the section `generate` of the run's recipe, with `changes`. Raises `UserError`."""
    own = _section(workspace, "generate", GenerationSettings)
    return load(GenerationSettings, None, "the settings of generation", {**own, **(changes or {})})


def proxy_settings(settings: TuneSettings, changes: Mapping[str, Any] | None = None) -> TrainingSettings:
    """A proxy's training: quick by default, with `changes`. Raises `UserError`."""
    own = {**PROXY, "max_steps": settings.proxy_steps, "seed": settings.seed}
    return load(TrainingSettings, None, "the proxy's settings", {**own, **(changes or {})})


def _section(workspace: Workspace, name: str, model: type[BaseModel]) -> dict[str, Any]:
    """What the run's recipe says in one section, as far as it is a key of `model`."""
    recipe = workspace.root / "recipe.yaml"
    section = (read(recipe, "the run's recipe").get(name) or {}) if recipe.exists() else {}
    own = {key: value for key, value in section.items() if key in model.model_fields}
    require(str(recipe), needs_of(model, own, Bounds((workspace.root.resolve(),))))
    return own
