"""What routers do where a model makes response tokens, and where they start from. Imports nothing that trains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.tensors import Float32
from efficient_empathy.modelling.training.examples import EncodedSample
from efficient_empathy.modelling.training.loss import batch_tokens, by_length

See = Callable[[int, Any, Sequence[Any], Any], None]
OnBatch = Callable[[int, int], None]
"""Called with the samples that are done, and how many there are."""


def routers(model: Any) -> list[tuple[str, Any]]:
    """The model's routers by name, first layer first: the modules whose parameter ends in `.mlp.gate.weight`."""
    return [(name, module) for name, module in model.named_modules() if name.endswith(".mlp.gate")]


def observe(
    model: Any,
    samples: Sequence[EncodedSample],
    modules: Sequence[Any],
    see: See,
    on_batch: OnBatch = lambda done, total: None,
) -> None:
    """Run the model over `samples` in batches and call `see` for each of the modules, and `on_batch` after a batch.

    Its arguments: the module's place in `modules`; its input; its outputs; and which sample each row of these is of.
    Rows are the positions that response tokens are predicted from.
    """
    import torch

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    autocast: Any = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")
    done = 0
    with torch.inference_mode(), autocast:
        for batch in by_length([len(sample.ids) for sample in samples], batch_tokens(device)):
            ids, mask, is_target = _pad_right([samples[i] for i in batch], device)
            owners = torch.tensor(batch, device=device)[is_target.nonzero()[:, 0]]
            with _hooks(modules, is_target.flatten(), owners, see):
                model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1)
            on_batch(done := done + len(batch), len(samples))
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
    model: Any,
    samples: Sequence[EncodedSample],
    groups: Mapping[str, Collection[str]],
    on_batch: OnBatch = lambda done, total: None,
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

    observe(model, samples, gates, see, on_batch)
    usage: Usage = {}
    mean_entropy: Entropy = {}
    for name, ids in groups.items():
        if there := [i for i, sample in enumerate(samples) if sample.sample_id in ids]:
            usage[name] = (weights[there].sum(0) / tokens[there].sum()).tolist()
            mean_entropy[name] = (entropy[there].sum(0) / tokens[there].sum()).tolist()
    return usage, mean_entropy


def centred_means(
    model: Any,
    samples: Sequence[Sequence[EncodedSample]],
    on_batch: OnBatch = lambda done, total: None,
) -> list[Float32]:
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
    before, all_samples = 0, sum(map(len, samples))
    for number, group in enumerate(samples):
        tokens = [0]

        def see(
            layer: int, entered: Any, outputs: Any, owners: Any, number: int = number, tokens: list[int] = tokens
        ) -> None:
            means[layer, number] += entered.double().sum(0).cpu()
            tokens[0] += len(entered) if layer == 0 else 0

        with _all_experts(gates):
            observe(model, group, gates, see, partial(_in_all, on_batch, before, all_samples))
        before += len(group)
        means[:, number] /= tokens[0]
    centred = means - means.mean(1, keepdim=True)
    lengths = centred.norm(dim=-1, keepdim=True)
    return list(np.asarray((centred / lengths.clamp(min=1e-12)).float().numpy(), np.float32))


def _in_all(on_batch: OnBatch, before: int, total: int, done: int, _: int) -> None:
    on_batch(before + done, total)


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
