"""Merges of adapters in weight space, from their papers' definitions, and a model that wears one at a time.

An adapter's update of a weight is scale · B · A (LoRA, arXiv 2106.09685). All that follow are of dense updates, by the
weight's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from efficient_empathy.modelling.moe.checkpoint import WEIGHTS, read_config, scale

Updates = Mapping[str, Tensor]
_PREFIX = "base_model.model."


def updates_of(adapter: Path) -> dict[str, Tensor]:
    """What the adapter in a folder adds to each weight of its base."""
    config = read_config(adapter)
    sides = {name.removeprefix(_PREFIX): tensor.float() for name, tensor in load_file(adapter / WEIGHTS).items()}
    modules = [name.removesuffix(".lora_A.weight") for name in sides if name.endswith(".lora_A.weight")]
    return {
        f"{module}.weight": scale(module, config) * sides[f"{module}.lora_B.weight"] @ sides[f"{module}.lora_A.weight"]
        for module in modules
    }


def linear(updates: Sequence[Updates], weights: Sequence[float]) -> dict[str, Tensor]:
    """Σ weight · update: the average, task arithmetic (Ilharco et al. 2023, arXiv 2212.04089), and all between."""
    return {
        name: sum((w * each[name] for w, each in zip(weights, updates, strict=True)), torch.zeros(()))
        for name in updates[0]
    }


def ties(updates: Sequence[Updates], weights: Sequence[float] = (), density: float = 0.2) -> dict[str, Tensor]:
    """TIES (Yadav et al. 2023, arXiv 2306.01708), to be added with factor 1.

    Of each adapter the share `density` of largest numbers is kept, over all its weights together; the sign of a number
    is that of the sum; the mean is of those kept that have this sign. `weights` are those of the adapters in sum and
    mean, alike where there are none.
    """
    weights = weights or [1.0] * len(updates)
    limits = [_limit(each, density) for each in updates]
    merged = {}
    for name in updates[0]:
        kept = [each[name] * (each[name].abs() >= limit) for each, limit in zip(updates, limits, strict=True)]
        sign = torch.stack([w * each for w, each in zip(weights, kept, strict=True)]).sum(0).sign()
        agreeing = [each * (each.sign() == sign) for each in kept]
        total = torch.stack([w * (each != 0) for w, each in zip(weights, agreeing, strict=True)]).sum(0)
        summed = torch.stack([w * each for w, each in zip(weights, agreeing, strict=True)]).sum(0)
        merged[name] = summed / total.where(total > 0, 1)
    return merged


def _limit(update: Updates, density: float) -> float:
    """The smallest absolute number that is kept."""
    sizes = torch.cat([tensor.abs().flatten() for tensor in update.values()]).numpy()
    place = len(sizes) - max(1, round(density * len(sizes)))
    sizes.partition(place)
    return float(sizes[place])


def dare(updates: Sequence[Updates], drop: float = 0.9, seed: int = 0) -> list[dict[str, Tensor]]:
    """DARE (Yu et al. 2024, arXiv 2311.03099): numbers dropped at random, the rest scaled by 1 ÷ (1 − `drop`)."""
    draw = torch.Generator().manual_seed(seed)
    return [
        {
            name: tensor * (torch.rand(tensor.shape, generator=draw) >= drop) / (1 - drop)
            for name, tensor in each.items()
        }
        for each in updates
    ]


@contextmanager
def worn(model: Any, update: Updates) -> Iterator[Any]:
    """The model with an update added to its weights; afterwards it is as it was, bit by bit."""
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].data for name in update}
    try:
        for name, tensor in update.items():
            parameters[name].data = before[name] + tensor
        yield model
    finally:
        for name, tensor in before.items():
            parameters[name].data = tensor
