"""How routers are trained with nothing else changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.modelling.moe.families import FAMILIES
from efficient_empathy.modelling.moe.router_statistics import routers
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.moe.tensors import SINGLE, Float32
from efficient_empathy.modelling.training.fit import FitResult, OnStep, fit
from efficient_empathy.modelling.training.models import load_model, load_tokenizer
from efficient_empathy.modelling.training.settings import TrainingSettings

GATES = r"\.mlp\.gate\.weight$"
GATES_AND_GATE_PROJ = r"\.mlp\.(gate\.weight|experts\.gate_up_proj)$"
"""transformers 5 holds an expert's gate_proj and up_proj in one tensor; the up_proj half gets no gradient."""
GATE, GATE_PROJ, _FUSED = ".mlp.gate.weight", ".experts.gate_proj", ".experts.gate_up_proj"
_MIXINGS_OWN = ("learning_rate", "scheduler", "epochs", "batch_size", "max_samples", "seed")


@dataclass(frozen=True)
class RouterFit:
    """Trained routers."""

    arrays: dict[str, Float32]
    """The changed tensors, under their names on disk."""
    changed_tensors: list[str]
    """The parameters that are not as they were, by their names in the model; halves of fused ones by themselves."""
    unchanged_count: int
    """How many parameters are bit by bit as they were."""
    fit: FitResult


def train_routers(
    folder: Path,
    rows: pl.DataFrame,
    mixing: MixSettings,
    training: TrainingSettings,
    out: Path,
    *,
    on_step: OnStep = lambda step, steps, loss: None,
) -> RouterFit:
    """Train the routers of the mixture in `folder` on the responses of `rows`; its files are left alone.

    `training` says what of its settings mixing has none of: template, lengths, precision. Checkpoints lie in `out`
    while it runs. The load-balancing loss is added where top_k is less than the experts: at 2 of 2 it is constant.
    Raises `RuntimeError` if anything but what was to be trained has moved, and `UserError` as `fit` does.
    """
    import torch

    alone = mixing.train == "gates"
    model = load_model(folder, dtype="auto" if alone and torch.cuda.is_available() else "fp32")
    for name, parameter in model.named_parameters():
        if name.endswith(GATE):
            parameter.data = parameter.data.float()  # steps of 1e-4 would be lost in bfloat16
        elif name.endswith(_FUSED) and not alone:
            parameter.register_hook(_first_half_only)
    gates = [module for _, module in routers(model)]
    before = digests(model)
    model.save_pretrained = partial(_save_trained, model)
    result = fit(
        model,
        load_tokenizer(folder),
        rows,
        {},
        _settings(mixing, training, alone),
        out,
        trainable=GATES if alone else GATES_AND_GATE_PROJ,
        save=False,
        on_step=on_step,
        router_aux_loss_coef=mixing.aux_loss if gates[0].top_k < len(gates[0].weight) else 0.0,
    )
    del result.model.save_pretrained
    after = digests(result.model)
    changed_tensors = [name for name, digest in before.items() if after[name] != digest]
    if wrong := [name for name in changed_tensors if not name.endswith((GATE,) if alone else (GATE, GATE_PROJ))]:
        raise RuntimeError(f"training the routers has moved {wrong[0]}, which it must not")
    arrays = {
        on_disk(name, number, result.model.config.model_type): tensor.float().cpu().numpy()
        for name, whole in parts(result.model)
        if name in changed_tensors
        for number, tensor in enumerate(whole if name.endswith(GATE_PROJ) else [whole])
    }
    return RouterFit(arrays, changed_tensors, len(before) - len(changed_tensors), result)


def _save_trained(model: Any, folder: str, **_: Any) -> None:
    """What a checkpoint holds: the parameters that are trained, under the names that they have in the model.

    The model's own way writes all of it, and under names that the trainer does not find again when it goes on.
    """
    from safetensors.torch import save_file

    tensors = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    save_file(tensors, Path(folder) / SINGLE, metadata={"format": "pt"})


def parts(model: Any) -> Iterator[tuple[str, Any]]:
    """The model's parameters by name, detached; gate_proj and up_proj of experts by themselves where they are fused."""
    for name, parameter in model.named_parameters():
        tensor = parameter.detach()
        if name.endswith(_FUSED):
            half = tensor.shape[1] // 2
            yield name.removesuffix(_FUSED) + GATE_PROJ, tensor[:, :half]
            yield name.removesuffix(_FUSED) + ".experts.up_proj", tensor[:, half:]
        else:
            yield name, tensor


def digests(model: Any) -> dict[str, str]:
    """A hash of every one of `parts`, of all its bits."""
    import torch

    hashes = {}
    for name, tensor in parts(model):
        digest = hashlib.blake2b(digest_size=16)
        for piece in tensor.reshape(-1).split(1 << 26):
            digest.update(piece.contiguous().view(torch.uint8).cpu().numpy().data)
        hashes[name] = digest.hexdigest()
    return hashes


def _first_half_only(gradient: Any) -> Any:
    half = gradient.clone()
    half[:, gradient.shape[1] // 2 :] = 0
    return half


def _settings(mixing: MixSettings, training: TrainingSettings, alone: bool) -> TrainingSettings:
    """The settings of `fit`: what mixing says, the rest from the experts' training."""
    changes: dict[str, Any] = {key: getattr(mixing, key) for key in _MIXINGS_OWN}
    changes |= {
        "method": "full",
        "mlp_only": False,
        "warmup_ratio": 0.0,
        "weight_decay": 0.0,
        "gradient_accumulation": 1,
    }
    changes |= {"max_steps": None, "processes": 1, "sharding": "none", "packing": "auto"}
    if not alone:
        changes["precision"] = "fp32"
    return training.model_copy(update=changes)


def on_disk(name: str, expert: int, model_type: str) -> str:
    """The name in the checkpoint of what is `name` in the model."""
    family = next(family for family in FAMILIES.values() if family.moe == model_type)
    layer = name.partition(".mlp.")[0]
    if name.endswith(GATE):
        return f"{layer}.{family.block}.gate.weight"
    return f"{layer}.{family.block}.experts.{expert}.{family.names['gate_proj']}.weight"
