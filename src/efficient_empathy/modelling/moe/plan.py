"""What a mixture or an average holds: the name of every tensor, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.checkpoint import EMBEDDINGS, HEAD, Checkpoint
from efficient_empathy.modelling.moe.families import MLP, SHARED_GATE, SHARED_WIDTH, Family
from efficient_empathy.modelling.moe.matching import Matched
from efficient_empathy.modelling.moe.numbers import Float32
from efficient_empathy.modelling.moe.tensors import Tensor, constant, given, mean


def mixture(
    matched: Matched,
    experts: Sequence[Checkpoint],
    base: Checkpoint | None,
    routers: Sequence[Float32] | None,
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """The mixture's tensors, in three kinds: what is outside the experts, from `base` or the experts' mean without one;
    each expert's feed-forward blocks; the routers.

    `routers` has one array of experts × hidden_size for each layer; zeros where it is None, which mix all alike.
    """
    family = matched.family
    rest = {name: _shared(name, experts, base) for name in matched.shapes if ".mlp." not in name}
    blocks: dict[str, Tensor] = {}
    gates: dict[str, Tensor] = {}
    if family.shared_expert and HEAD not in rest:
        rest[HEAD] = rest[EMBEDDINGS]  # llama.cpp's Qwen2Moe has no tied embeddings
    shape = (len(experts), matched.config["hidden_size"])
    for layer in range(matched.config["num_hidden_layers"]):
        block = f"model.layers.{layer}.{family.block}"
        if routers is None:
            gates[f"{block}.gate.weight"] = constant(0.0, matched.dtype, shape)
        else:
            gates[f"{block}.gate.weight"] = given(_checked(routers, layer, shape), matched.dtype)
        for number, expert in enumerate(experts):
            for name in MLP:
                tensor = expert.tensors[f"model.layers.{layer}.mlp.{name}.weight"]
                blocks[f"{block}.experts.{number}.{family.names[name]}.weight"] = tensor
        rest |= _shared_expert(block, family, matched)
    return rest, blocks, gates


def averaged(matched: Matched, experts: Sequence[Checkpoint]) -> dict[str, Tensor]:
    """The dense model whose every weight is the experts' mean."""
    return {name: _shared(name, experts, None) for name in matched.shapes}


def _shared(name: str, experts: Sequence[Checkpoint], base: Checkpoint | None) -> Tensor:
    return base.tensors[name] if base is not None else mean([expert.tensors[name] for expert in experts])


def _checked(routers: Sequence[Float32], layer: int, shape: tuple[int, int]) -> Float32:
    router = np.asarray(routers[layer], np.float32)
    if router.shape != shape:
        raise UserError(f"the router of layer {layer} has the shape {list(router.shape)}, not {list(shape)}")
    return router


def _shared_expert(block: str, family: Family, matched: Matched) -> Mapping[str, Tensor]:
    """The shared expert that Qwen2Moe has and we do not need: it adds sigmoid(…) × 0."""
    if not family.shared_expert:
        return {}
    hidden, dtype = matched.config["hidden_size"], matched.dtype
    return {
        f"{block}.shared_expert.gate_proj.weight": constant(0.0, dtype, (SHARED_WIDTH, hidden)),
        f"{block}.shared_expert.up_proj.weight": constant(0.0, dtype, (SHARED_WIDTH, hidden)),
        f"{block}.shared_expert.down_proj.weight": constant(0.0, dtype, (hidden, SHARED_WIDTH)),
        f"{block}.shared_expert_gate.weight": constant(SHARED_GATE, dtype, (1, hidden)),
    }
