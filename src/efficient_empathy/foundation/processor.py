"""What the processor of this machine can do."""

from __future__ import annotations


def multiplies_bf16() -> bool:
    """Whether it multiplies in bf16 faster than in fp32: with AMX.

    AVX-512's own bf16 reached .55 of fp32's rate in torch 2.13, and training of a 135 M model .6 of its speed
    (benchmarks/RESULTS.md); elsewhere bf16 is emulated, some twenty times slower than fp32.
    """
    import torch

    return bool(torch.cpu._is_amx_tile_supported())
