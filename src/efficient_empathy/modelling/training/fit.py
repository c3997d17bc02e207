"""Fit a model to responses: TRL's trainer, checkpoints that survive kill -9, held-out losses."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.foundation.errors import UserError, write_context
from efficient_empathy.foundation.run.files import atomic, require_in_place
from efficient_empathy.foundation.run.record import finite
from efficient_empathy.modelling.bases import ADAPTER
from efficient_empathy.modelling.training.examples import EncodedSample, encode
from efficient_empathy.modelling.training.loss import HELD_OUT, HeldOut
from efficient_empathy.modelling.training.models import device_name, precision_of, quiet
from efficient_empathy.modelling.training.plan import Plan, adapter_of, arguments_of, plan_of, set_trainable
from efficient_empathy.modelling.training.record import FitRecord, HeldOutLoss, LoggedStep, TokenCount
from efficient_empathy.modelling.training.settings import TrainingSettings

OnStep = Callable[[int, int, float], None]
"""Told of each step: its number, how many there are, its loss."""
OnHeldOut = Callable[[int, int], None]
"""Told while held-out losses are measured: samples measured, and of how many."""
CHECKPOINTS = "checkpoints"
_CONFIG = ("use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "output_router_logits", "router_aux_loss_coef")


@dataclass
class FitResult:
    """A fitted model, and how it went."""

    model: Any
    """The model itself: with its adapter on for LoRA."""
    record: FitRecord


def fit(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    held_out: Mapping[str, pl.DataFrame],
    settings: TrainingSettings,
    out: Path,
    *,
    trainable: str | None = None,
    save: bool = True,
    on_step: OnStep = lambda step, steps, loss: None,
    on_held_out: OnHeldOut = lambda done, total: None,
    **trl: Any,
) -> FitResult:
    """Train `model` on the responses of `rows` (as from `examples`) and measure it on every group of `held_out`.

    `trainable` is a regular expression: exactly the parameters whose name it finds are trained, instead of what
    `settings.method` says. `trl` goes to TRL's `SFTConfig` as it is. Checkpoints lie in `out/checkpoints` while it
    runs: called again with the same model, data and settings, it goes on from the last whole one and ends with the same
    weights; checkpoints of anything else are removed. With `save`, the weights and the tokenizer are written to
    `out`. The model's own configuration is left as it was.

    Raises `UserError` where nothing is left to train on, when the loss is no number, and for settings that do not go
    together.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    encoding = encode(rows, tokenizer, settings.max_length)
    plan = plan_of(model, encoding, settings, world, rank)
    set_trainable(model, settings, trainable)
    checkpoints = out / CHECKPOINTS
    if rank == 0:
        keep_only(checkpoints, fingerprint(model, encoding.samples, settings, trainable, trl))
    original = {name: getattr(model.config, name) for name in _CONFIG if hasattr(model.config, name)}
    generation = deepcopy(model.generation_config)

    def in_place(step: int, steps: int, loss: float) -> None:
        require_in_place(checkpoints)
        on_step(step, steps, loss)

    with quiet(), write_context(checkpoints):
        trainer = _trainer(model, tokenizer, plan, held_out, checkpoints, trainable, in_place, on_held_out, trl)
        last = last_checkpoint(checkpoints)
        if world > 1:  # on several machines a disk that they share may not show all of them the same at once
            from accelerate.utils import broadcast_object_list

            (last,) = broadcast_object_list([last])
        first_step = int(last.name.rpartition("-")[2]) if last else 0
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        for name, value in original.items():
            setattr(model.config, name, value)
        model.generation_config = generation
        result = _result(trainer, plan, tuple(held_out), first_step)
        if save:
            _save(trainer, tokenizer, out)
    return result


def _trainer(
    model: Any,
    tokenizer: Any,
    plan: Plan,
    held_out: Mapping[str, pl.DataFrame],
    checkpoints: Path,
    trainable: str | None,
    on_step: OnStep,
    on_held_out: OnHeldOut,
    trl: Mapping[str, Any],
) -> Any:
    import datasets
    from transformers.trainer_callback import PrinterCallback

    from efficient_empathy.modelling.training.trainer import Order, ResponseTrainer, Watch, quicken

    settings = plan.settings
    order = None if plan.packing else Order(plan.lengths, settings.batch_size, settings.seed, plan.group_by_length)
    tell = on_held_out if plan.rank == 0 else lambda done, total: None
    measure = HeldOut(tokenizer, held_out, settings.max_length, (plan.rank, plan.world), tell)
    every = math.ceil(plan.steps / 4) if settings.evaluate_every is None else settings.evaluate_every
    watch = Watch(measure, every, on_step if plan.rank == 0 else lambda step, steps, loss: None)
    data = datasets.Dataset.from_dict(
        {
            "input_ids": [sample.ids for sample in plan.encoding.samples],
            "labels": [[-100] * s.start + s.ids[s.start :] for s in plan.encoding.samples],
        }
    )
    trainer = ResponseTrainer(
        model,
        args=arguments_of(model, plan, checkpoints, trl),
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=adapter_of(model, settings) if trainable is None and settings.method == "lora" else None,
        callbacks=[watch],
        order=order,
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.args.device.type == "cpu":
        quicken(trainer.model)
    watch.trainer = measure.trainer = trainer
    return trainer


def _result(trainer: Any, plan: Plan, groups: Sequence[str], first_step: int) -> FitResult:
    """`groups` of held-out samples in their order, which a checkpoint's history does not keep."""
    lines = trainer.state.log_history
    held_out = []
    for line in lines:
        losses = {name: finite(line[HELD_OUT + name]) for name in groups if HELD_OUT + name in line}
        if losses:
            held_out.append(HeldOutLoss(step=line["step"], loss=losses))
    fields = ("step", "epoch", "loss", "learning_rate")
    history = [LoggedStep(**{name: line[name] for name in fields}) for line in lines if "loss" in line]
    parameters = trainer.accelerator.unwrap_model(trainer.model).parameters()
    sizes = [(p.numel(), p.requires_grad) for p in parameters]
    record = FitRecord(
        history=tuple(history),
        held_out=tuple(held_out),
        seconds=round(trainer.seconds(), 3),
        tokens=_tokens_seen(trainer, plan),
        steps=trainer.state.global_step,
        samples=len(plan.encoding.samples),
        truncated=plan.encoding.truncated,
        too_long=len(plan.encoding.too_long),
        parameters=sum(size for size, _ in sizes),
        trainable_parameters=sum(size for size, is_trainable in sizes if is_trainable),
        precision=precision_of(plan.settings),
        device=device_name(),
        resumed_from=first_step,
    )
    return FitResult(trainer.model, record)


def _tokens_seen(trainer: Any, plan: Plan) -> TokenCount:
    """Counted along the order that the samples were seen in; of packed rows by the share of an epoch."""
    samples = plan.encoding.samples
    if trainer._order is None:
        epochs = float(trainer.state.epoch or 0)
        response = round(epochs * sum(s.response_tokens for s in samples))
        return TokenCount(response=response, all=round(epochs * sum(plan.lengths)))
    response = everything = 0
    in_epoch = math.ceil(len(samples) / plan.settings.batch_size / plan.settings.gradient_accumulation)
    a_step = plan.settings.batch_size * plan.settings.gradient_accumulation
    for epoch in range(math.ceil(trainer.state.global_step / in_epoch)):
        steps = min(in_epoch, trainer.state.global_step - epoch * in_epoch)
        for index in trainer._order.of(epoch)[: steps * a_step]:
            response += samples[index].response_tokens
            everything += plan.lengths[index]
    return TokenCount(response=response, all=everything)


def _save(trainer: Any, tokenizer: Any, out: Path) -> None:
    """Weights and tokenizer, without the pickled arguments that the trainer leaves."""
    trainer.save_model(str(out))
    if trainer.is_world_process_zero():
        (out / "training_args.bin").unlink(missing_ok=True)
        tokenizer.save_pretrained(out)
        if (out / ADAPTER).exists():
            _put_in_order(out / ADAPTER)


def _put_in_order(config: Path) -> None:
    """PEFT writes the modules in the order of a set, another in each process: the same training leaves the same bytes,
    so that what was made of an expert stays up to date when it is trained again."""
    content = json.loads(config.read_text("utf-8"))
    content["target_modules"] = sorted(content["target_modules"])
    with atomic(config) as path:
        path.write_text(json.dumps(content, indent=2, sort_keys=True), "utf-8")


_NO_MATTER = {"report_to", "log_every", "allow_pickle", "trust_remote_code"}


def fingerprint(
    model: Any,
    samples: Sequence[EncodedSample],
    settings: TrainingSettings,
    trainable: str | None,
    trl: Mapping[str, Any],
) -> str:
    """What a checkpoint must agree in to be gone on from: the data, the settings, the weights it starts with."""
    digest = hashlib.sha256()
    digest.update(settings.model_dump_json(exclude=_NO_MATTER).encode())
    digest.update(json.dumps([trainable, dict(trl), type(model).__name__], default=str, sort_keys=True).encode())
    for sample in samples:
        digest.update(json.dumps([sample.ids, sample.start]).encode())
    for name, parameter in model.named_parameters():
        few = parameter.detach().flatten()[:64].float().cpu().tolist()
        digest.update(json.dumps([name, list(parameter.shape), few]).encode())
    return digest.hexdigest()


def keep_only(checkpoints: Path, expected: str) -> None:
    """Make the folder; remove checkpoints whose fingerprint is not the `expected` one."""
    mark = checkpoints / "fingerprint"
    if mark.exists() and mark.read_text("utf-8") == expected:
        return
    try:
        shutil.rmtree(checkpoints, ignore_errors=True)
        checkpoints.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot write checkpoints to {checkpoints}: {error.strerror}") from error
    with atomic(mark) as path:
        path.write_text(expected, "utf-8")


def last_checkpoint(checkpoints: Path) -> Path | None:
    """The newest checkpoint that is whole: its state is written last."""
    folders = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in folders:
        try:
            json.loads((path / "trainer_state.json").read_text("utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None
