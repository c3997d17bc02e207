"""The held-out losses of a training run, before, during and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from efficient_empathy.modelling.training.loss import losses, mean_losses
from efficient_empathy.modelling.training.plan import Plan
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.modelling.training.tokens import encode

HELD_OUT = "held_out_"
"""What stands before a group's name in the trainer's log."""


class HeldOut:
    """Called, it gives the mean nats a response token of every group at this moment; each sample is run once."""

    def __init__(
        self, tokenizer: Any, groups: Mapping[str, pl.DataFrame], settings: TrainingSettings, plan: Plan
    ) -> None:
        self.groups = {name: rows for name, rows in groups.items() if len(rows)}
        rows = [rows.select("sample_id", "prompt", "completion") for rows in self.groups.values()]
        each = pl.concat(rows).unique("sample_id", keep="first", maintain_order=True) if rows else None
        self.samples = encode(each, tokenizer, settings.max_length).samples if each is not None else []
        self.share = (plan.rank, plan.world)
        self.trainer: Any = None

    def __call__(self) -> dict[str, float]:
        """Mean losses by group; empty where nothing is held out."""
        if not self.samples:
            return {}
        import torch

        trainer = self.trainer
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        forward = trainer.model_wrapped if sharded else None  # whose parameters are gathered by their wrapper alone
        nll = torch.tensor(losses(trainer.model, self.samples, forward=forward, share=self.share))
        if self.share[1] > 1:
            nll = trainer.accelerator.reduce(nll.to(trainer.args.device), "sum").cpu()
        measured = {
            "sample_id": [sample.sample_id for sample in self.samples],
            "tokens": [sample.response_tokens for sample in self.samples],
            "nll": nll.tolist(),
        }
        return mean_losses(self.groups, pl.DataFrame(measured))
