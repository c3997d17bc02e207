"""The settings of `sweep` and `tune`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from efficient_empathy.evaluation.classifiers.kinds import classifier_folders
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.robustness.grid import DEFAULT, Thresholds
from efficient_empathy.evaluation.robustness.labels import UNION
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import Settings, load, read
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.modelling.training.settings import TrainingSettings

Decide = Literal["auto", "scores", "probabilities"]
AROUND = (3.0, 4.0, 5.0, 6.0, 7.0)
PROXY: dict[str, Any] = {"learning_rate": 1e-3, "max_length": 256, "save_every": 0, "max_held_out": 500}
"""What a proxy is trained with, unless it is told otherwise."""


class SweepSettings(Settings):
    """A grid of cells, and whether each of them is trained on."""

    policies: tuple[str, ...] = ("paper",)
    """Any of paper, exclusive, both. The default cell is the first one's, at α 5 and β 5."""
    alphas: Thresholds = AROUND
    """Thresholds of sensibility: 3:7, 3:7:0.5, or 3,5,7 (in YAML a list, or a range in quotes)."""
    betas: Thresholds = AROUND
    """Thresholds of rationality."""
    decide: Decide | None = None
    """Decide on auto, scores or probabilities; as in the run's selection by default."""
    seed: int = Field(default=0, ge=0)
    """Breaks ties, and draws dialogues for intervals."""
    train: bool = False
    """Train and measure a model on the subset of every cell, and baselines (extra train)."""
    subset: str = "sensibility"
    """With train: the subset that is trained on, or union."""
    seeds: int = Field(default=3, ge=0)
    """With train: random baselines of each kind."""
    metrics: tuple[str, ...] = ()
    """With train: every model also answers the run's test samples, measured by these, such as official,texts."""
    epitome: Path | None = None
    """With metrics: for epitome, the folder that `fit-metric epitome` made."""
    emotion: Path | None = None
    """With metrics: for emotion, the folder that `fit-metric emotion` made."""
    resamples: int = Field(default=1000, ge=1)
    """Draws of dialogues for intervals."""
    keep: bool = False
    """With train: keep the weights of every model."""

    @property
    def metric_options(self) -> MetricOptions:
        """What the metrics are told."""
        return MetricOptions(classifiers=classifier_folders(self))

    @property
    def default(self) -> dict[str, float]:
        """The thresholds that cells are compared with."""
        return {"alpha": DEFAULT, "beta": DEFAULT}


class TuneSettings(Settings):
    """Thresholds for a target."""

    target: str
    """share=0.6, samples=20000, balance, or proxy-loss."""
    policy: str = "paper"
    """Whose thresholds are chosen: paper, exclusive or both."""
    alphas: Thresholds | None = None
    """Thresholds of sensibility; 1:9 by default, 3:7:2 for proxy-loss, where every cell costs trainings."""
    betas: Thresholds | None = None
    """Thresholds of rationality, likewise."""
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
    decide: Decide | None = None
    """Decide on auto, scores or probabilities; as in the run's selection by default."""
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
