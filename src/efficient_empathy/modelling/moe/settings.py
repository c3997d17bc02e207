"""How experts are mixed: every setting, with the paper's values as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from efficient_empathy.foundation import guard
from efficient_empathy.foundation.settings import Settings

Dtype = Literal["auto", "bf16", "fp16", "fp32"]


class MixSettings(Settings):
    """How the mixture is composed, how its routers start, and how they are trained (arXiv 2407.01937)."""

    shared: Literal["average", "base"] = "average"
    """Everything outside the feed-forward blocks: the experts' average, or the base's."""
    top_k: int = Field(default=2, ge=1)
    """Experts that each token goes through."""
    ties: bool = False
    """Merge the experts by TIES (arXiv 2306.01708) as well, to a dense model that costs no more to serve than their
    average; without a run, to that instead of a mixture."""
    dtype: Dtype = "auto"
    """What mixture, merges and merged experts are stored as, and measured as; auto is as the base is. bf16 has three
    decimal digits, in which a small update of the weights can get lost; fp32 keeps it, at twice the size."""
    init: Literal["zero", "centred_means"] = "zero"
    """Routers start from zero, which mixes the experts alike, or from the mean input of each feed-forward block over
    each expert's own samples, less the mean of all."""
    init_samples: int = Field(default=256, ge=1)
    """Samples of each subset that those means are taken of."""
    train: Literal["gates", "gates+gate_proj", "none"] = "gates"
    """gates: exactly the routers; gates+gate_proj: every expert's gate_proj as well, which is what the paper's released
    code trains (its rule is "gate" in the name); none."""
    router_data: Literal["union", "held_back"] = "union"
    """Train the routers on what the experts saw, or on dialogues held back from them (train with hold_back above 0 for
    that)."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """The peak."""
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    """How the learning rate goes on."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the data."""
    batch_size: int = Field(default=16, ge=1)
    """Samples of one optimiser step."""
    max_samples: int | None = Field(default=None, ge=1)
    """Train on so many of them, by seeded hash."""
    aux_loss: float = Field(default=0.001, ge=0)
    """Weight of the load-balancing loss, where top_k is less than the experts."""
    shard_bytes: int = Field(default=5_000_000_000, ge=1)
    """The largest weight file, if one tensor fits."""
    resamples: int = Field(default=1000, ge=100)
    """Of the dialogues, for the intervals of the comparison."""
    seed: int = Field(default=0, ge=0)
    """Of the order of samples and of the intervals."""


def load_settings(file: Path | None = None, changes: Mapping[str, Any] | None = None) -> MixSettings:
    """Settings from a YAML file, with `changes` on top (see `guard.load_settings`). Raises `UserError`."""
    return guard.load_settings(MixSettings, file, "the settings for mixing", changes)
