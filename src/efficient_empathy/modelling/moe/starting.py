"""Where routers start: at the inputs that each expert's own samples have more of than the others' have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.numbers import Float32
from efficient_empathy.modelling.moe.observing import observe, routers
from efficient_empathy.modelling.training.tokens import Encoded


def centred_means(model: Any, samples: Sequence[Sequence[Encoded]]) -> list[Float32]:
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
            layer: int, entered: Any, left: Any, owners: Any, number: int = number, tokens: list[int] = tokens
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
    kept = [gate.top_k for gate in gates]
    for gate in gates:
        gate.top_k = gate.weight.shape[0]
    try:
        yield
    finally:
        for gate, top_k in zip(gates, kept, strict=True):
            gate.top_k = top_k
