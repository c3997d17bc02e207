"""TRL's SFTTrainer with our order of samples, a cheaper loss and dropout, and an error where the loss is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler
from transformers import TrainerCallback
from trl.trainer.sft_trainer import SFTTrainer

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.loss import HELD_OUT, by_length, output_at
from efficient_empathy.modelling.training.plan import epoch_order


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
PASS_TOKENS = 384
"""Tokens of one forward and backward pass on a processor, padding included."""
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

    def get_batch_samples(self, *arguments: Any, **options: Any) -> Any:
        """The batches of a step; none after the last one: gone on from its checkpoint, the trainer would do another."""
        is_done = self.state.global_step >= self.state.max_steps
        return ([], None) if is_done else super().get_batch_samples(*arguments, **options)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """The gradient of one batch, part by part where it is large. Raises `UserError` when the loss is no number."""
        parts = [inputs] if self.aux_loss_enabled or num_items_in_batch is None else self._parts(inputs)
        loss = sum(super(ResponseTrainer, self).training_step(model, part, num_items_in_batch) for part in parts)
        value = float(loss)
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value}")
        self.step_loss += value
        return loss

    def _parts(self, inputs: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of like length together, in as many tokens as a pass on a processor takes: more are no quicker there,
        and what is kept for the backward pass is most of the memory.

        On several processes, and on a GPU, the batch as it is.
        """
        if self.args.device.type != "cpu" or self.args.world_size > 1 or "attention_mask" not in inputs:
            return [inputs]
        lengths: list[int] = inputs["attention_mask"].sum(1).tolist()
        parts = []
        for rows in by_length(lengths, PASS_TOKENS):
            width = lengths[rows[0]]
            parts.append({name: tensor[rows, :width] for name, tensor in inputs.items()})
        return parts

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
