"""In which order samples are trained on: batches of like length, shuffled, so that there is little padding."""

from __future__ import annotations

import random
from collections.abc import Sequence

POOL = 50
"""Batches whose samples are sorted by length together: enough that a batch has next to no padding, few enough that
two samples of like length meet in one batch by chance only."""


def epoch_order(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int, grouped: bool = True) -> list[int]:
    """Indices of one epoch; consecutive `batch_size` of them are a batch, a smaller last one comes last.

    The order depends on nothing but the arguments, so an interrupted run finds it again.
    """
    shuffle = random.Random(f"{seed} {epoch}")
    indices = list(range(len(lengths)))
    shuffle.shuffle(indices)
    if not grouped:
        return indices
    batches: list[list[int]] = []
    for at in range(0, len(indices), POOL * batch_size):
        pool = sorted(indices[at : at + POOL * batch_size], key=lambda i: lengths[i])
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    full = [batch for batch in batches if len(batch) == batch_size]
    shuffle.shuffle(full)
    return [index for batch in [*full, *(b for b in batches if len(b) < batch_size)] for index in batch]


def widest_batch(lengths: Sequence[int], batch_size: int) -> int:
    """Tokens of the largest batch that there can be, padding included."""
    return max(lengths, default=0) * min(batch_size, len(lengths))
