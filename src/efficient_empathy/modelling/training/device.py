"""What this machine can do: its precision, its attention, and whether activations fit."""

from __future__ import annotations

from typing import Any, Literal

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.settings import TrainingSettings

_SHORT = 1024
"""Up to so many tokens, plain attention is faster on a CPU than the fused kernel with its mask."""


def device_name() -> str:
    """The accelerator's own name, or `cpu`."""
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def precision_of(settings: TrainingSettings) -> Literal["bf16", "fp32"]:
    """The precision that matrices are multiplied in. Raises `UserError` for bf16 on a GPU that does not know it."""
    import torch

    if torch.cuda.is_available():
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        if settings.precision == "bf16" and not able:
            raise UserError(f"{device_name()} does not calculate in bf16: train with --set precision=fp32")
    else:
        able = bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if settings.precision == "auto":
        return "bf16" if able else "fp32"
    return settings.precision


def attention_of(settings: TrainingSettings) -> str:
    """transformers' name of the fastest attention here: flash attention where it is installed and precision is bf16."""
    import torch
    from transformers.utils.import_utils import is_flash_attn_2_available

    if torch.cuda.is_available():
        flash = is_flash_attn_2_available() and precision_of(settings) == "bf16" and settings.packing is not False
        return "flash_attention_2" if flash else "sdpa"
    return "eager" if settings.max_length <= _SHORT else "sdpa"


def checkpointing_of(settings: TrainingSettings, model: Any, widest: int) -> bool:
    """Whether activations are recomputed in the backward pass instead of being kept.

    `widest` is the largest batch of one process in tokens. What is kept of a block is about 16 hidden and 4 inner
    states of 2 bytes a token (Korthikanti et al. 2022, arXiv 2205.05198, without the attention matrix), and the logits.
    """
    import torch

    if settings.gradient_checkpointing != "auto":
        return settings.gradient_checkpointing
    if not torch.cuda.is_available():
        return False
    config = model.config.get_text_config()
    inner = getattr(config, "moe_intermediate_size", None) or getattr(
        config, "intermediate_size", 4 * config.hidden_size
    )
    inner *= getattr(config, "num_experts_per_tok", None) or 1
    kept = widest * 2 * config.num_hidden_layers * (16 * config.hidden_size + 4 * inner)
    kept += widest * 8 * config.vocab_size
    optimiser = 8 * sum(p.numel() for p in model.parameters() if p.requires_grad) if settings.method == "full" else 0
    free, _ = torch.cuda.mem_get_info()
    return bool(kept + optimiser > 0.8 * free)
