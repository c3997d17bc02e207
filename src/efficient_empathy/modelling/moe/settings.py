"""How experts are mixed: every setting, with the paper's values as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.foundation.settings import load


class MixSettings(BaseModel):
    """How the mixture is composed, how its routers start, and how they are trained (arXiv 2407.01937)."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    shared: Literal["average", "base"] = Field(
        default="average",
        description="Everything outside the feed-forward blocks: the experts' average, or the base's.",
    )
    top_k: int = Field(default=2, ge=1, description="Experts that each token goes through.")
    init: Literal["zero", "centred_means"] = Field(
        default="zero",
        description="Routers start from zero, which mixes the experts alike, or from the mean input of each "
        "feed-forward block over each expert's own samples, less the mean of all.",
    )
    init_samples: int = Field(default=256, ge=1, description="Samples of each subset that those means are taken of.")
    train: Literal["gates", "gates+gate_proj", "none"] = Field(
        default="gates",
        description="gates: exactly the routers; gates+gate_proj: every expert's gate_proj as well, which is what the "
        'paper\'s released code trains (its rule is "gate" in the name); none.',
    )
    router_data: Literal["union", "held_back"] = Field(
        default="union",
        description="Train the routers on what the experts saw, or on dialogues held back from them (train with "
        "hold_back above 0 for that).",
    )
    learning_rate: float = Field(default=1e-4, gt=0, description="The peak.")
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        default="linear", description="How the learning rate goes on."
    )
    epochs: float = Field(default=1.0, gt=0, description="Passes over the data.")
    batch_size: int = Field(default=16, ge=1, description="Samples of one optimiser step.")
    max_samples: int | None = Field(default=None, ge=1, description="Train on so many of them, by seeded hash.")
    aux_loss: float = Field(
        default=0.001, ge=0, description="Weight of the load-balancing loss, where top_k is less than the experts."
    )
    shard_bytes: int = Field(default=5_000_000_000, ge=1, description="The largest weight file, if one tensor fits.")
    resamples: int = Field(default=1000, ge=100, description="Of the dialogues, for the intervals of the comparison.")
    seed: int = Field(default=0, ge=0, description="Of the order of samples and of the intervals.")


def load_settings(file: Path | None = None, changes: Mapping[str, Any] | None = None) -> MixSettings:
    """Settings from a YAML file, with `changes` on top (see `configuration.load`). Raises `UserError`."""
    return load(MixSettings, file, "the settings for mixing", changes)
