"""How an expert is trained: every setting, with the paper's values as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from efficient_empathy.foundation import guard
from efficient_empathy.foundation.guard import Needs, Reads
from efficient_empathy.foundation.settings import Settings

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a block in Llama, Mistral and Qwen: attention and feed-forward, not the output layer."""
MLP = ("gate_proj", "up_proj", "down_proj")


class LoraSettings(Settings):
    """A low-rank adapter (Hu et al. 2021, arXiv 2106.09685)."""

    r: int = Field(default=8, ge=1)
    """The rank."""
    alpha: float = Field(default=32, gt=0)
    """The update is scaled by alpha ÷ r."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """On the adapter's input, while training."""
    targets: Literal["all-linear", "mlp_only"] | list[str] = "all-linear"
    """all-linear: q, k, v, o, gate, up and down projections; mlp_only: gate, up and down, so that every other tensor
    stays the base's and averaging experts harms nothing; or names of modules."""

    def modules(self) -> list[str]:
        """The names of the modules that get an adapter."""
        if isinstance(self.targets, list):
            return self.targets
        return list(MLP if self.targets == "mlp_only" else LINEAR)


class TrainingSettings(Settings):
    """How one expert is trained. The defaults are the paper's for Llama-3-8B-Instruct (arXiv 2407.01937)."""

    base: Annotated[str | None, Reads()] = None
    """A folder, a hub name, a GGUF file, or an installed package that holds one; the bundled tiny base by default."""
    method: Literal["lora", "full"] = "lora"
    """Train an adapter, or every parameter."""
    lora: LoraSettings = LoraSettings()
    """The adapter, where one is trained."""
    mlp_only: bool = False
    """Train the feed-forward blocks alone, with either method."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """The peak."""
    try_learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Train at each of these peaks, and keep the one with the lowest held-out loss; it takes as many times as long."""
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    """How the learning rate goes on after the warm-up."""
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps that warm up."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's, on all but biases and norms."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Gradients are clipped to it; 0 does not clip."""
    batch_size: int = Field(default=16, ge=1)
    """Samples of one forward pass, over all processes together."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes for one optimiser step."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the data."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many optimiser steps."""
    max_length: int = Field(default=512, ge=16)
    """Tokens of a sample: its oldest turns are left out, never its response."""
    packing: Literal["auto"] | bool = "auto"
    """auto: no padding at all where flash attention is, else batches of like length; true: rows of max_length tokens,
    packed full (flash attention only; a batch is then rows, not samples); false: random batches, padded."""
    gradient_checkpointing: Literal["auto"] | bool = "auto"
    """Recompute activations instead of keeping them; auto: where they would not fit."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 autocast on GPUs that calculate in it and on CPUs with AMX, else fp32."""
    template: Annotated[str, Reads()] = "chat"
    """The prompt template: bundled, or a YAML file."""
    seed: int = Field(default=0, ge=0)
    """Of the order, of new weights and of which dialogues are held out."""
    held_out: float = Field(default=0.05, ge=0, lt=1)
    """Share of dialogues held out where the data has no validation split."""
    hold_back: float = Field(default=0.0, ge=0, lt=1)
    """Share of training dialogues kept from the experts, for the routers."""
    max_held_out: int | None = Field(default=1000, ge=1)
    """Held-out samples that the losses are measured on; none: all of them."""
    max_samples: int | None = Field(default=None, ge=1)
    """Train on so many of the subset, by seeded hash."""
    report_to: str = "none"
    """Where metrics go: none, or trackers that accelerate knows (tensorboard,wandb)."""
    log_every: int = Field(default=10, ge=1)
    """Optimiser steps between two lines of the history."""
    evaluate_every: int | None = Field(default=None, ge=0)
    """Steps between two held-out losses; a quarter of the run by default, 0: never."""
    save_every: int | None = Field(default=None, ge=0)
    """Steps between two checkpoints; a tenth of the run by default, 0: none."""
    processes: int | Literal["auto"] = "auto"
    """Processes; auto: one a GPU, one without."""
    sharding: Literal["none", "fsdp2", "zero3"] = "none"
    """Split weights and optimiser over GPUs: FSDP2, or DeepSpeed's ZeRO-3."""
    allow_pickle: Annotated[bool, Needs("pickle")] = False
    """Load weights from pickle files, which can run code."""
    trust_remote_code: Annotated[bool, Needs("code")] = False
    """Run the Python code that a model brings along."""

    def adapter(self) -> LoraSettings:
        """The adapter's settings, `mlp_only` taken in."""
        return self.lora.model_copy(update={"targets": "mlp_only"}) if self.mlp_only else self.lora

    def trackers(self) -> list[str]:
        """The names in `report_to`."""
        return [name.strip() for name in self.report_to.split(",") if name.strip() not in ("", "none")]


def load_settings(file: Path | None = None, changes: Mapping[str, Any] | None = None) -> TrainingSettings:
    """Settings from a YAML file, with `changes` on top (see `guard.load_settings`). Raises `UserError`."""
    return guard.load_settings(TrainingSettings, file, "the training settings", changes)
