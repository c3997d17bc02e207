"""Dropout that draws four decisions at a time: on a CPU the drawing costs a quarter of training an adapter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class QuickDropout(nn.Dropout):
    """`nn.Dropout` with `p` rounded to 1/65,536, from 16 bits of the CPU's generator a value."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """`input` with a share `p` of its values zero and the rest scaled by 1 ÷ (1 − p); as it is in evaluation."""
        if not self.training or self.p == 0:
            return input
        draws = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = draws[: input.numel()].view(input.shape) >= round(self.p * 2**16) - 2**15
        return input * kept.to(input.dtype).mul_(1 / (1 - self.p))


def quicken(model: Any) -> None:
    """Make every dropout of a model on the CPU a `QuickDropout`, in place."""
    for module in model.modules():
        if type(module) is nn.Dropout and not module.inplace:
            module.__class__ = QuickDropout
