"""TRL's SFTTrainer with our order of samples, a cheaper loss and dropout, and an error where the loss is no number.

The shape of a training run: its steps, the order of its batches, what is trained, TRL's and PEFT's own settings.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler
from transformers import TrainerCallback
from trl.trainer.sft_trainer import SFTTrainer

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.examples import Encoding
from efficient_empathy.modelling.training.loss import HELD_OUT, output_at
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


class QuickDropout(nn.Dropout):
    """`nn.Dropout` with `p` rounded to 1/65,536, from 16 bits of the CPU's generator a value."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """`input` with a share `p` of its values zero and the rest scaled by 1 ÷ (1 − p); as it is in evaluation."""
        if not self.training or self.p == 0:
            return input
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        mask = draws[: input.numel()].view(input.shape) >= round(self.p * 2**16) - 2**15
        return input * mask.to(input.dtype).mul_(1 / (1 - self.p))


def quicken(model: Any) -> None:
    """Make every dropout of a model on the CPU a `QuickDropout`, in place."""
    for module in model.modules():
        if type(module) is nn.Dropout and not module.inplace:
            module.__class__ = QuickDropout


_MOST_LOGITS = 2**29
"""Logits held at once, 2 GiB in fp32; where there are more, TRL's loss takes over, which never holds them all."""
OnStep = Callable[[int, int, float], None]
_Untyped: Any = SFTTrainer


class Order(Sampler[int]):
    """The order of samples; `epoch` is set before each epoch starts."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int, group_by_length: bool) -> None:
        self.lengths, self.batch_size, self.seed, self.group_by_length = lengths, batch_size, seed, group_by_length
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(self.of(self.epoch))

    def of(self, epoch: int) -> list[int]:
        """The order of one epoch."""
        return epoch_order(
            self.lengths, self.batch_size, seed=self.seed, epoch=epoch, group_by_length=self.group_by_length
        )


class ResponseTrainer(_Untyped):  # type: ignore[misc]
    """The output layer runs on response positions alone: on a small model with a large vocabulary that is most of it.

    The loss is TRL's: the mean negative log-likelihood over the response tokens of an optimiser step. Losses with a
    routers' part (mixtures of experts) and batches whose logits would fill the memory go TRL's own way.
    """

    def __init__(self, *arguments: Any, order: Order | None, **options: Any) -> None:
        self._order = order
        self.step_loss = 0.0
        self._began = time.monotonic()
        super().__init__(*arguments, **options)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self._order or super()._get_train_sampler(train_dataset)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean negative log-likelihood of the response tokens, in nats."""
        labels = inputs["labels"][:, 1:]
        is_response = labels != -100
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        if return_outputs or self.aux_loss_enabled or vocabulary * int(is_response.sum()) > _MOST_LOGITS:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        positions = torch.nn.functional.pad(is_response, (0, 1))
        model_inputs = {name: value for name, value in inputs.items() if name != "labels"}
        with output_at(self.model, positions):
            logits = model(**model_inputs, use_cache=False).logits
        total = cross_entropy(logits.float(), labels[is_response], reduction="sum")
        if num_items_in_batch is None:
            return total / is_response.sum().clamp(min=1)
        loss = total / torch.as_tensor(num_items_in_batch, device=total.device).clamp(min=1)
        return loss * self.accelerator.num_processes if self.args.average_tokens_across_devices else loss

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        """One forward and backward pass. Raises `UserError` when the loss is no number."""
        loss = super().training_step(*arguments, **options)
        value = float(loss)
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value}")
        self.step_loss += value
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if not math.isfinite(float(norm)):
            raise self._diverged(f"the gradient's norm is {float(norm)}")
        return norm

    def _diverged(self, what: str) -> UserError:
        step = self.state.global_step + 1
        rate = self._get_learning_rate() if self.lr_scheduler is not None else self.args.learning_rate
        return UserError(
            f"{what} at step {step}: lower the learning rate (it is {rate:.1e}), add a warm-up "
            "(--set warmup_ratio=0.03), or calculate in fp32 (--set precision=fp32)"
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Every line of the history has the seconds that training took so far, earlier sittings included."""
        logs["seconds"] = self.seconds()
        super().log(logs, start_time)

    def seconds(self) -> float:
        """Seconds of training, earlier sittings included."""
        before = [line["seconds"] for line in self.state.log_history[: self._lines_before] if "seconds" in line]
        return (before[-1] if before else 0.0) + time.monotonic() - self._began

    def start_clock(self) -> None:
        """Count from here; what the checkpoint says of earlier sittings is added."""
        self._began = time.monotonic()
        self._lines_before = len(self.state.log_history)

    _lines_before = 0

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """None in a checkpoint: the expert's own card is written beside the finished weights."""


class Watch(TrainerCallback):
    """Sets the order's epoch, measures held-out losses, tells the progress, and logs whenever a checkpoint is saved.

    `measure` returns the held-out losses of the moment. They go into the history, so a resumed run has all of it.
    """

    def __init__(self, measure: Callable[[], dict[str, float]], every: int, on_step: OnStep) -> None:
        self.measure, self.every, self.on_step = measure, every, on_step
        self.trainer: ResponseTrainer | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock; the loss before training."""
        assert self.trainer is not None
        self.trainer.start_clock()
        if state.global_step == 0:
            self._held_out()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The order of this epoch."""
        assert self.trainer is not None
        if self.trainer._order is not None:
            self.trainer._order.epoch = int(state.epoch or 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Progress; held-out losses when it is time, before a checkpoint is saved."""
        assert self.trainer is not None
        self.on_step(state.global_step, state.max_steps, self.trainer.step_loss)
        self.trainer.step_loss = 0.0
        last = state.global_step >= state.max_steps
        if last or (self.every and state.global_step % self.every == 0):
            self._held_out()
        if last or control.should_save:
            control.should_log = True

    def _held_out(self) -> None:
        assert self.trainer is not None
        if losses := self.measure():
            self.trainer.log({f"{HELD_OUT}{name}": value for name, value in losses.items()})
