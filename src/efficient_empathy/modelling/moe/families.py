"""Which dense model becomes which mixture of experts: configurations and names.

A mixture keeps the dense model's attention, norms and embeddings; its feed-forward block becomes the experts, with a
router before them. Names on disk are one tensor an expert, which transformers 4 and 5, vLLM and llama.cpp all read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.checkpoint import EMBEDDINGS, HEAD

SHARED_WIDTH = 64
"""Qwen2Moe has a shared expert beside the routed ones. Ours is as narrow as engines can split, with weights of zero."""
SHARED_GATE = 0.01
"""Weights of the shared expert's gate: anything but zero, since llama.cpp computes sigmoid(x) as silu(x) ÷ x."""

MLP = ("gate_proj", "up_proj", "down_proj")
_COMMON: dict[str, Any] = {
    "vocab_size": None, "hidden_size": None, "intermediate_size": None, "num_hidden_layers": None,
    "num_attention_heads": None, "num_key_value_heads": None, "hidden_act": "silu", "max_position_embeddings": None,
    "initializer_range": 0.02, "rms_norm_eps": 1e-6, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
    "tie_word_embeddings": False, "attention_dropout": 0.0,
}  # fmt: skip
"""What every mixture's configuration takes over, with the value that a dense model has where it says nothing; None:
it must say, except for the tokens' ids and, in a Llama, num_key_value_heads, which is num_attention_heads then."""
_MAY_BE_NULL = {"bos_token_id", "eos_token_id", "pad_token_id"}
THETA = 10_000.0
"""rope_theta where a dense model says nothing; Mixtral's own is a million, so that it must be written."""


@dataclass(frozen=True)
class Family:
    """How one kind of dense model is mixed."""

    dense: str
    moe: str
    architecture: str
    block: str
    """What a layer's mixture is called on disk."""
    names: Mapping[str, str]
    """The feed-forward block's three matrices, as the experts' are called."""
    biases: bool = False
    """Whether query, key and value have biases."""
    head_norms: bool = False
    """Whether queries and keys are normalised."""
    head_dim: int | None = None
    """Where the dense configuration says nothing; None: hidden_size ÷ num_attention_heads."""
    shared_expert: bool = False


_PLAIN = {name: name for name in MLP}
FAMILIES = {
    family.dense: family
    for family in (
        Family("llama", "mixtral", "MixtralForCausalLM", "block_sparse_moe",
               {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}),
        Family("mistral", "mixtral", "MixtralForCausalLM", "block_sparse_moe",
               {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}),
        Family("qwen2", "qwen2_moe", "Qwen2MoeForCausalLM", "mlp", _PLAIN, biases=True, shared_expert=True),
        Family("qwen3", "qwen3_moe", "Qwen3MoeForCausalLM", "mlp", _PLAIN, head_norms=True, head_dim=128),
    )
}  # fmt: skip


def family_of(config: Mapping[str, Any], where: object) -> Family:
    """The family of a dense configuration. Raises `UserError` for one that becomes no mixture we know."""
    kind = config.get("model_type")
    if kind not in FAMILIES:
        names = ", ".join(FAMILIES)
        raise UserError(f"{where} is of the family {kind}, which becomes no standard mixture; these do: {names}")
    for key, value in (("quantization_config", None), ("use_sliding_window", False), ("hidden_act", "silu")):
        if config.get(key, value) not in (value, None):
            raise UserError(f"{where} has {key}: {config[key]!r}, which no {FAMILIES[kind].moe} takes over")
    return FAMILIES[kind]


def dense_config(config: Mapping[str, Any], family: Family, where: object) -> dict[str, Any]:
    """What a dense configuration means, defaults filled in, legacy keys read. Raises `UserError` for a missing key."""
    fields = {key: config.get(key, default) for key, default in _COMMON.items()}
    if family.dense == "llama":
        fields["num_key_value_heads"] = fields["num_key_value_heads"] or fields["num_attention_heads"]
    if missing := [key for key, value in fields.items() if value is None and key not in _MAY_BE_NULL]:
        raise UserError(f"the configuration of {where} lacks {missing[0]}: it is no {family.dense} that can be mixed")
    head_dim = config.get("head_dim") or family.head_dim or fields["hidden_size"] // fields["num_attention_heads"]
    window = config.get("sliding_window", 4096) if family.dense == "mistral" else None
    return {**fields, "head_dim": head_dim, "sliding_window": window, "rope_parameters": _rope(config, where)}


def _rope(config: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Rotary embeddings as transformers 5 writes them, from either way of writing them."""
    rope = dict(config.get("rope_scaling") or config.get("rope_parameters") or {})
    if any(isinstance(value, dict) for value in rope.values()):
        raise UserError(f"{where} has other rotary embeddings in other layers, which no mixture takes over")
    kind = rope.pop("type", "default")
    rope.setdefault("rope_type", kind)
    rope.setdefault("rope_theta", config.get("rope_theta") or THETA)
    return dict(sorted(rope.items()))


def moe_config(dense: Mapping[str, Any], family: Family, experts: int, top_k: int, dtype: str) -> dict[str, Any]:
    """The mixture's configuration, in the keys of transformers 5 and in the older ones that other engines read."""
    rope = dense["rope_parameters"]
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    config = {
        "architectures": [family.architecture],
        "model_type": family.moe,
        **dense,
        "rope_theta": rope["rope_theta"],
        "rope_scaling": None if rope["rope_type"] == "default" else scaling,
        "num_experts_per_tok": top_k,
        "output_router_logits": False,
        "use_cache": True,
        "dtype": dtype,
        "torch_dtype": dtype,
    }
    if family.moe == "mixtral":
        return {**config, "num_local_experts": experts}
    config |= {"num_experts": experts, "moe_intermediate_size": dense["intermediate_size"], "norm_topk_prob": True}
    config |= {"decoder_sparse_step": 1, "mlp_only_layers": [], "use_sliding_window": False}
    if family.shared_expert:
        config |= {"shared_expert_intermediate_size": SHARED_WIDTH, "qkv_bias": True, "tie_word_embeddings": False}
    return config


def dense_shapes(dense: Mapping[str, Any], family: Family) -> dict[str, tuple[int, ...]]:
    """The name and shape of every tensor that a dense model of this configuration has."""
    hidden, width = dense["hidden_size"], dense["intermediate_size"]
    queries, keys = (dense[f"num_{kind}_heads"] * dense["head_dim"] for kind in ("attention", "key_value"))
    layer: dict[str, tuple[int, ...]] = {"input_layernorm.weight": (hidden,)}
    for name, size in (("q", queries), ("k", keys), ("v", keys)):
        layer[f"self_attn.{name}_proj.weight"] = (size, hidden)
        if family.biases:
            layer[f"self_attn.{name}_proj.bias"] = (size,)
    layer["self_attn.o_proj.weight"] = (hidden, queries)
    if family.head_norms:
        layer |= {f"self_attn.{name}_norm.weight": (dense["head_dim"],) for name in "qk"}
    layer["post_attention_layernorm.weight"] = (hidden,)
    layer |= {"mlp.gate_proj.weight": (width, hidden), "mlp.up_proj.weight": (width, hidden)}
    layer["mlp.down_proj.weight"] = (hidden, width)
    layers = range(dense["num_hidden_layers"])
    shapes: dict[str, tuple[int, ...]] = {EMBEDDINGS: (dense["vocab_size"], hidden)}
    shapes |= {f"model.layers.{i}.{name}": shape for i in layers for name, shape in layer.items()}
    shapes |= {"model.norm.weight": (hidden,)}
    return shapes if dense["tie_word_embeddings"] else {**shapes, HEAD: (dense["vocab_size"], hidden)}
