"""Tiny chat models as GGUF files, written as llama.cpp's converter writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_models import CHAT_TEMPLATE, tiny_model

_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def tiny_gguf(
    path: Path, *, architecture: str = "llama", template: str | None = CHAT_TEMPLATE, quantisation: str = "F32"
) -> Path:
    """A Llama of a few thousand parameters and its folder beside it (`path` without its suffix), which it was made of.

    `architecture` is what the file calls itself; `quantisation` that of its matrices.
    """
    import gguf
    import numpy as np
    import torch
    from safetensors.torch import load_file

    folder = tiny_model(path.with_suffix(""), num_hidden_layers=1)
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in (("context_length", 256), ("embedding_length", 32), ("block_count", 1),
                       ("feed_forward_length", 64), ("head_count", 4), ("head_count_kv", 2),
                       ("layer_norm_rms_eps", 1e-6), ("rope_freq_base", 10000.0)):  # fmt: skip
        getattr(writer, f"add_{key}")(value)
    _add_tokenizer(writer, folder, template)
    kind = gguf.GGMLQuantizationType[quantisation]
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = _as_on_disk(name, tensor.to(torch.float32).numpy())
        own_kind = kind if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        data = gguf.quantize(values, own_kind) if own_kind.name != "F32" else np.ascontiguousarray(values)
        writer.add_tensor(_name(name), data, raw_dtype=own_kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any, folder: Path, template: str | None) -> None:
    import gguf
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = set(tokenizer.all_special_tokens) | {t.content for t in tokenizer.added_tokens_decoder.values()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in words])
    merges = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["merges"]
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)


def _as_on_disk(name: str, values: Any) -> Any:
    """llama.cpp turns neighbouring numbers of a head, not its halves: queries and keys lie in another order."""
    heads = 4 if name.endswith("q_proj.weight") else 2 if name.endswith("k_proj.weight") else 0
    if not heads:
        return values
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(
        values.shape)  # fmt: skip


def _name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{_NAMES[rest]}.weight"
