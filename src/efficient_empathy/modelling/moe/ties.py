"""TIES-Merging (Yadav et al. 2023, arXiv 2306.01708): several models of one base as one dense model.

What a model adds to a number of the base is its update. Of each model the largest fifth of its updates is kept, over
all of its weights together; the sign of a number's update is that of the sum of those kept, its size the mean of those
kept that have this sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from efficient_empathy.modelling.moe.tensors import Computed, Float32, Tensor, spans

DENSITY = 0.2
"""The share that is kept, the paper's."""
_SHIFT = 11
"""Low bits of a float32 that the count of sizes leaves out: sizes within a part in 4,096 count as one."""


def least_kept(model: Mapping[str, Tensor], base: Mapping[str, Tensor], density: float = DENSITY) -> float:
    """The smallest size of an update that is among the largest `density` of the model's, to a part in 4,096.

    Numbers that are the base's are no updates. Reads all weights that are not the base's own bytes, once, and holds
    8 MiB of counts. 0 for a model that is its base.
    """
    counts = np.zeros(1 << (31 - _SHIFT), np.int64)
    for name, tensor in model.items():
        if tensor != base[name]:
            for start, stop in spans(tensor.shape):
                update = _update(tensor, base[name].read(start, stop), start, stop)
                sizes = np.abs(update).reshape(-1).view(np.uint32) >> _SHIFT  # of floats above 0 bits rise with size
                counts += np.bincount(sizes, minlength=len(counts))
    counts[0] = 0
    from_above = counts[::-1].cumsum()
    if not from_above[-1]:
        return 0.0
    place = len(counts) - 1 - int(np.searchsorted(from_above, density * from_above[-1]))
    return float(np.array([place << _SHIFT], np.uint32).view(np.float32)[0])


def ties(base: Tensor, models: Sequence[Tensor], least: Sequence[float]) -> Tensor:
    """A weight of the merge, computed in float32; the base's own where no model has changed it.

    `least` has each model's `least_kept`.
    """
    if all(model == base for model in models):
        return base
    return Computed(partial(_rows, base, tuple(models), tuple(least)), base.dtype, base.shape)


def _rows(base: Tensor, models: Sequence[Tensor], least: Sequence[float], start: int, stop: int) -> Float32:
    there = base.read(start, stop)
    kept = [_kept(_update(model, there, start, stop), size) for model, size in zip(models, least, strict=True)]
    sign = np.sign(sum(kept[1:], start=kept[0]))
    agreeing = [np.where(np.sign(update) == sign, update, np.float32(0)) for update in kept]
    count = np.maximum(sum(update != 0 for update in agreeing), 1).astype(np.float32)
    merged: Float32 = there + sum(agreeing[1:], start=agreeing[0]) / count
    return merged


def _update(model: Tensor, base: Float32, start: int, stop: int) -> Float32:
    return model.read(start, stop) - base


def _kept(update: Float32, least: float) -> Float32:
    return np.where(np.abs(update) >= np.float32(least), update, np.float32(0))
