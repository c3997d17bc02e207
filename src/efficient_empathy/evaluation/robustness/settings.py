"""What `sweep` and `tune` can be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.robustness.grid import DEFAULT, Thresholds
from efficient_empathy.evaluation.robustness.labels import UNION
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import load, read
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings

Decide = Literal["auto", "scores", "probabilities"]
AROUND = (3.0, 4.0, 5.0, 6.0, 7.0)
PROXY: dict[str, Any] = {"learning_rate": 1e-3, "max_length": 256, "save_every": 0, "max_held_out": 500}
"""What a proxy is trained with, unless it is told otherwise."""


class SweepSettings(BaseModel):
    """A grid of cells, and whether each of them is trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policies: tuple[str, ...] = ("paper",)
    """Policies with thresholds: paper, exclusive, both. The default cell is the first one's, at α 5 and β 5."""
    alphas: Thresholds = AROUND
    """Of sensibility: a list, or text such as "3:7" (in YAML in quotes)."""
    betas: Thresholds = AROUND
    """Of rationality."""
    decide: Decide | None = None
    """What policies decide on; as in the run's selection by default."""
    seed: int = Field(default=0, ge=0)
    """Breaks ties."""
    train: bool = False
    """Train and measure a model on the subset of every cell."""
    subset: str = "sensibility"
    """The one that is trained on: one of the policy's, or union."""
    seeds: int = Field(default=3, ge=0)
    """How many random baselines of each kind there are."""
    metrics: tuple[str, ...] = ()
    """Metrics of responses, such as official: every model answers the run's test samples then."""
    epitome: Path | None = None
    """The metric epitome: the folder that `fit-metric epitome` made."""
    emotion: Path | None = None
    """The metric emotion: the folder that `fit-metric emotion` made."""
    resamples: int = Field(default=1000, ge=1)
    """Draws of dialogues for intervals."""
    keep: bool = False
    """Keep the weights of every model."""

    @property
    def metric_options(self) -> MetricOptions:
        """What the metrics are told."""
        return MetricOptions(epitome=self.epitome, emotion=self.emotion)

    @property
    def default(self) -> dict[str, float]:
        """The thresholds that cells are compared with."""
        return {"alpha": DEFAULT, "beta": DEFAULT}


class TuneSettings(BaseModel):
    """Thresholds for a target."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    """share=0.6, samples=20000, balance, or proxy-loss."""
    policy: str = "paper"
    alphas: Thresholds | None = None
    """1 to 9 by default; 3, 5, 7 for proxy-loss, where every cell costs trainings."""
    betas: Thresholds | None = None
    """As `alphas`."""
    subset: str = UNION
    """What is shared, counted, balanced or trained on: union (all that is kept), or one of the policy's subsets."""
    folds: int = Field(default=5, ge=2)
    """Parts of the dialogues that thresholds are cross-validated on."""
    tolerance: float = Field(default=0.05, ge=0, le=1)
    """How far from a share (or number, as a share of all) the nearest cell may be."""
    least: float = Field(default=0.5, ge=0, le=1)
    """balance: the least share of all samples."""
    most: float = Field(default=1.0, gt=0, le=1)
    """balance: the most."""
    proxy_steps: int = Field(default=20, ge=1)
    """proxy-loss: optimiser steps of each proxy model."""
    decide: Decide | None = None
    """What the policy decides on; as in the run's selection by default."""
    seed: int = Field(default=0, ge=0)
    """Of ties, folds and resampling."""
    resamples: int = Field(default=1000, ge=1)
    """Draws of folds and dialogues for the interval."""


def training_settings(
    workspace: Workspace, file: Path | None = None, changes: Mapping[str, Any] | None = None
) -> TrainingSettings:
    """How a sweep's models are trained: a file's settings, else the run's recipe's section `train`, with `changes`.

    Raises `UserError`.
    """
    given = {} if file is not None else _section(workspace, "train", TrainingSettings)
    return load(TrainingSettings, file, "the training settings", {**given, **(changes or {})})


def generation_settings(workspace: Workspace, changes: Mapping[str, Any] | None = None) -> GenerationSettings:
    """How a sweep's models answer: the section `generate` of the run's recipe, with `changes`. Raises `UserError`."""
    given = _section(workspace, "generate", GenerationSettings)
    return load(GenerationSettings, None, "the settings of generation", {**given, **(changes or {})})


def proxy_settings(settings: TuneSettings, changes: Mapping[str, Any] | None = None) -> TrainingSettings:
    """A proxy's training: quick by default, with `changes`. Raises `UserError`."""
    given = {**PROXY, "max_steps": settings.proxy_steps, "seed": settings.seed}
    return load(TrainingSettings, None, "the proxy's settings", {**given, **(changes or {})})


def _section(workspace: Workspace, name: str, model: type[BaseModel]) -> dict[str, Any]:
    """What the run's recipe says in one section, as far as it is a key of `model`."""
    recipe = workspace.root / "recipe.yaml"
    section = (read(recipe, "the run's recipe").get(name) or {}) if recipe.exists() else {}
    return {key: value for key, value in section.items() if key in model.model_fields}
