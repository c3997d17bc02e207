"""What routers do: how much of each expert they take, and how decided they are, by layer and subset."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from efficient_empathy.modelling.moe.observing import observe, routers
from efficient_empathy.modelling.training.tokens import Encoded

Usage = dict[str, list[list[float]]]
Entropy = dict[str, list[float]]


def statistics(model: Any, samples: Sequence[Encoded], groups: Mapping[str, Collection[str]]) -> tuple[Usage, Entropy]:
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

    def see(layer: int, _: Any, left: Sequence[Any], owners: Any) -> None:
        logits, scores, indices = left
        taken = torch.zeros((len(scores), experts), dtype=torch.double, device=scores.device)
        taken.scatter_(1, indices, scores.double())
        odds = logits.double().log_softmax(-1)
        mine = owners.cpu()
        weights[:, layer].index_add_(0, mine, taken.cpu())
        entropy[:, layer].index_add_(0, mine, -(odds.exp() * odds).sum(-1).cpu())
        if layer == 0:
            tokens.index_add_(0, mine, torch.ones(len(mine), dtype=torch.double))

    observe(model, samples, gates, see)
    usage: Usage = {}
    decided: Entropy = {}
    for name, ids in groups.items():
        if there := [i for i, sample in enumerate(samples) if sample.sample_id in ids]:
            usage[name] = (weights[there].sum(0) / tokens[there].sum()).tolist()
            decided[name] = (entropy[there].sum(0) / tokens[there].sum()).tolist()
    return usage, decided
