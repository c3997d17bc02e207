"""Routers: where they start from, how they are trained with nothing else changed, and what they do on responses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.families import FAMILIES
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.moe.tensors import SINGLE, Float32
from efficient_empathy.modelling.training.examples import EncodedSample
from efficient_empathy.modelling.training.fit import FitResult, fit
from efficient_empathy.modelling.training.loss import by_length
from efficient_empathy.modelling.training.models import load_model, load_tokenizer
from efficient_empathy.modelling.training.settings import TrainingSettings

See = Callable[[int, Any, Sequence[Any], Any], None]
MAX_TOKENS = 4096
"""Tokens of one batch, padding included."""


def routers(model: Any) -> list[tuple[str, Any]]:
    """The model's routers by name, first layer first: the modules whose parameter ends in `.mlp.gate.weight`."""
    return [(name, module) for name, module in model.named_modules() if name.endswith(".mlp.gate")]


def observe(
    model: Any,
    samples: Sequence[EncodedSample],
    modules: Sequence[Any],
    see: See,
) -> None:
    """Run the model over `samples` in batches and call `see` for each of the modules.

    Its arguments: the module's place in `modules`; its input; its outputs; and which sample each row of these is of.
    Rows are the positions that response tokens are predicted from.
    """
    import torch

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    autocast: Any = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")
    with torch.inference_mode(), autocast:
        for batch in by_length([len(sample.ids) for sample in samples], MAX_TOKENS):
            ids, mask, is_target = _pad_right([samples[i] for i in batch], device)
            owners = torch.tensor(batch, device=device)[is_target.nonzero()[:, 0]]
            with _hooks(modules, is_target.flatten(), owners, see):
                model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
    model.train(was_training)


def _pad_right(samples: Sequence[EncodedSample], device: Any) -> tuple[Any, Any, Any]:
    import torch

    width = max(len(sample.ids) for sample in samples)
    ids = torch.zeros((len(samples), width), dtype=torch.long)
    mask, is_target = torch.zeros_like(ids), torch.zeros((len(samples), width), dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        mask[row, : len(sample.ids)] = 1
        is_target[row, max(1, sample.start) - 1 : len(sample.ids) - 1] = True
    return ids.to(device), mask.to(device), is_target.to(device)


@contextmanager
def _hooks(modules: Sequence[Any], is_target: Any, owners: Any, see: See) -> Iterator[None]:
    def hook(index: int) -> Callable[[Any, Any, Any], None]:
        def watch(_: Any, inputs: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            entered, *outputs = (part.reshape(-1, part.shape[-1])[is_target] for part in (inputs[0], *parts))
            see(index, entered, outputs, owners)

        return watch

    with ExitStack() as stack:
        for index, module in enumerate(modules):
            stack.callback(module.register_forward_hook(hook(index)).remove)
        yield


Usage = dict[str, list[list[float]]]
Entropy = dict[str, list[float]]


def statistics(
    model: Any, samples: Sequence[EncodedSample], groups: Mapping[str, Collection[str]]
) -> tuple[Usage, Entropy]:
    """Mean weight of each expert, and mean entropy in nats, at the response tokens of each group: by group and layer.

    `groups` has ids of samples. The weights are those that the experts' outputs are summed with, so they add up to 1,
    and those out of the top k count as 0. The entropy is that of the router's softmax over all experts: ln(experts) at
    most. Groups without samples are left out.
    """
    import torch

    gates = [module for _, module in routers(model)]
    experts = gates[0].weight.shape[0]
    weights = torch.zeros((len(samples), len(gates), experts), dtype=torch.double)
    entropy = torch.zeros((len(samples), len(gates)), dtype=torch.double)
    tokens = torch.zeros(len(samples), dtype=torch.double)

    def see(layer: int, _: Any, outputs: Sequence[Any], owners: Any) -> None:
        logits, scores, indices = outputs
        expert_weights = torch.zeros((len(scores), experts), dtype=torch.double, device=scores.device)
        expert_weights.scatter_(1, indices, scores.double())
        odds = logits.double().log_softmax(-1)
        mine = owners.cpu()
        weights[:, layer].index_add_(0, mine, expert_weights.cpu())
        entropy[:, layer].index_add_(0, mine, -(odds.exp() * odds).sum(-1).cpu())
        if layer == 0:
            tokens.index_add_(0, mine, torch.ones(len(mine), dtype=torch.double))

    observe(model, samples, gates, see)
    usage: Usage = {}
    mean_entropy: Entropy = {}
    for name, ids in groups.items():
        if there := [i for i, sample in enumerate(samples) if sample.sample_id in ids]:
            usage[name] = (weights[there].sum(0) / tokens[there].sum()).tolist()
            mean_entropy[name] = (entropy[there].sum(0) / tokens[there].sum()).tolist()
    return usage, mean_entropy


def centred_means(model: Any, samples: Sequence[Sequence[EncodedSample]]) -> list[Float32]:
    """Routers, one array of experts × hidden_size a layer: the mean input of its feed-forward block at the response
    tokens of each expert's samples, less the mean of these means, scaled to length 1.

    `model` is the mixture with routers of zero; while its inputs are seen, every token goes through all experts. Raises
    `UserError` for an expert without samples.
    """
    import torch

    if not all(samples):
        raise UserError("an expert's subset has no samples to take its routers' start from: start with --init zero")
    gates = [module for _, module in routers(model)]
    means = torch.zeros((len(gates), len(samples), gates[0].weight.shape[1]), dtype=torch.double)
    for number, group in enumerate(samples):
        tokens = [0]

        def see(
            layer: int, entered: Any, outputs: Any, owners: Any, number: int = number, tokens: list[int] = tokens
        ) -> None:
            means[layer, number] += entered.double().sum(0).cpu()
            tokens[0] += len(entered) if layer == 0 else 0

        with _all_experts(gates):
            observe(model, group, gates, see)
        means[:, number] /= tokens[0]
    centred = means - means.mean(1, keepdim=True)
    lengths = centred.norm(dim=-1, keepdim=True)
    return list(np.asarray((centred / lengths.clamp(min=1e-12)).float().numpy(), np.float32))


@contextmanager
def _all_experts(gates: Sequence[Any]) -> Iterator[None]:
    """With routers of zero, the top k of equals would be the first k."""
    limits = [gate.top_k for gate in gates]
    for gate in gates:
        gate.top_k = gate.weight.shape[0]
    try:
        yield
    finally:
        for gate, top_k in zip(gates, limits, strict=True):
            gate.top_k = top_k


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
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
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
