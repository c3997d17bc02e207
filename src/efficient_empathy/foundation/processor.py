"""What the processor of this machine can do."""

from __future__ import annotations


def multiplies_bf16() -> bool:
    """Whether it multiplies in bf16 by itself; elsewhere that is emulated, some twenty times slower than fp32."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
