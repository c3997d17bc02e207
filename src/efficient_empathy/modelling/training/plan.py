"""How a fit goes: its steps, the order of its samples, TRL's arguments, what is trained. It loads no torch."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.examples import Encoding
from efficient_empathy.modelling.training.models import checkpointing_of, precision_of
from efficient_empathy.modelling.training.settings import TrainingSettings

POOL = 50
"""Batches whose samples are sorted by length together: enough that a batch has next to no padding, few enough that
two samples of like length meet in one batch by chance only."""


def epoch_order(
    lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int, group_by_length: bool = True
) -> list[int]:
    """Indices of one epoch; consecutive `batch_size` of them are a batch, a smaller last one comes last.

    The order depends on nothing but the arguments, so an interrupted run finds it again.
    """
    shuffle = random.Random(f"{seed} {epoch}")
    indices = list(range(len(lengths)))
    shuffle.shuffle(indices)
    if not group_by_length:
        return indices
    batches: list[list[int]] = []
    for at in range(0, len(indices), POOL * batch_size):
        pool = sorted(indices[at : at + POOL * batch_size], key=lambda i: lengths[i])
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    full = [batch for batch in batches if len(batch) == batch_size]
    shuffle.shuffle(full)
    return [index for batch in [*full, *(b for b in batches if len(b) < batch_size)] for index in batch]


def widest_batch(lengths: Sequence[int], batch_size: int) -> int:
    """Tokens of the largest batch that there can be, padding included."""
    return max(lengths, default=0) * min(batch_size, len(lengths))


@dataclass
class Plan:
    """The shape of a run, on `world` processes of which this is the one of `rank`."""

    encoding: Encoding
    settings: TrainingSettings
    world: int
    rank: int
    steps: int
    group_by_length: bool
    packing: bool
    padding_free: bool
    lengths: list[int] = field(default_factory=list)


def plan_of(model: Any, encoding: Encoding, settings: TrainingSettings, world: int, rank: int) -> Plan:
    """The run's shape. Raises `UserError` when it has none."""
    n = len(encoding.samples)
    if n < settings.batch_size:
        note = f" ({len(encoding.too_long):,} were left out as too long)" if encoding.too_long else ""
        raise UserError(
            f"{n:,} samples are too few to train on with batches of {settings.batch_size}{note}: "
            "lower --batch-size, or select more"
        )
    if settings.batch_size % world:
        raise UserError(f"a batch of {settings.batch_size} cannot be shared by {world} processes: make it divisible")
    flash = "flash" in str(getattr(model.config, "_attn_implementation", ""))
    if settings.packing is True and not flash:
        raise UserError("packing needs flash attention, which is not here: leave packing at auto")
    packing = settings.packing is True
    lengths = [len(sample.ids) for sample in encoding.samples]
    rows = max(1, math.ceil(sum(lengths) / settings.max_length)) if packing else n
    in_epoch = math.ceil(math.ceil(rows / settings.batch_size) / settings.gradient_accumulation)
    steps = settings.max_steps or math.ceil(in_epoch * settings.epochs)
    padding_free = flash and settings.packing == "auto"
    group_by_length = settings.packing == "auto" and not padding_free
    return Plan(encoding, settings, world, rank, steps, group_by_length, packing, padding_free, lengths)


def set_trainable(model: Any, settings: TrainingSettings, trainable: str | None) -> None:
    """Freeze what is not to be trained; LoRA freezes its base itself."""
    pattern = trainable
    if pattern is None and settings.method == "full":
        pattern = r"\.(mlp|feed_forward)\." if settings.mlp_only else ""
    if pattern is None:
        return
    count = 0
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(bool(re.search(pattern, name)))
        count += parameter.requires_grad
    if not count:
        raise UserError(f"no parameter of {type(model).__name__} matches {pattern!r}: there is nothing to train")


def arguments_of(model: Any, plan: Plan, checkpoints: Path, trl: Mapping[str, Any]) -> Any:
    """TRL's `SFTConfig`. Raises `UserError` for settings that it does not take together."""
    import torch
    from trl.trainer.sft_config import SFTConfig

    settings, cuda = plan.settings, torch.cuda.is_available()
    _require_trackers(settings)
    every = max(1, math.ceil(plan.steps / 10)) if settings.save_every is None else settings.save_every
    each = settings.batch_size // plan.world
    options: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "per_device_train_batch_size": each,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.scheduler,
        "warmup_steps": settings.warmup_ratio,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "bf16": precision_of(settings) == "bf16",
        "gradient_checkpointing": checkpointing_of(settings, model, widest_batch(plan.lengths, each)),
        "packing": plan.packing,
        "padding_free": plan.padding_free,
        "max_length": settings.max_length if plan.packing else None,
        "dataset_kwargs": {"skip_prepare_dataset": not plan.packing},
        "seed": settings.seed,
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "report_to": settings.trackers() or "none",
        "save_strategy": "steps" if every else "no",
        "save_steps": every or 1,
        "save_total_limit": 1,
        "disable_tqdm": True,
        "use_cpu": not cuda,
        "ddp_backend": "gloo" if plan.world > 1 and not cuda else None,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": cuda,
    }
    try:
        arguments = SFTConfig(**{**options, **trl})
    except (ValueError, ImportError, TypeError) as error:
        raise UserError(f"these training settings do not go together: {' '.join(str(error).split())}") from error
    if plan.world == 1:
        arguments._n_gpu = min(1, arguments.n_gpu)  # one process takes one GPU; more are asked for with processes
    return arguments


def _require_trackers(settings: TrainingSettings) -> None:
    from transformers import integrations

    here: list[str] = cast(Any, integrations).get_available_reporting_integrations()
    for name in settings.trackers():
        if name not in here:
            names = ", ".join(["none", *sorted(here)])
            raise UserError(f"report_to {name} is not installed: install it, or take one that is there ({names})")


def adapter_of(model: Any, settings: TrainingSettings) -> Any:
    """PEFT's configuration. Raises `UserError` where the model has none of the modules."""
    from peft import LoraConfig, TaskType

    lora = settings.adapter()
    modules = lora.modules()
    there = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if missing := [name for name in modules if name.rpartition(".")[2] not in there]:
        raise UserError(
            f"{type(model).__name__} has no modules called {', '.join(missing)}: name its own with --set "
            "lora.targets=[…]"
        )
    return LoraConfig(
        r=lora.r,
        lora_alpha=cast(int, lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=modules,
        task_type=TaskType.CAUSAL_LM,
    )
