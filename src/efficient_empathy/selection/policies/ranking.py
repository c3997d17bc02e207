"""Who is among the best of which axis, where every axis takes a number of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from efficient_empathy.selection.ties import Ties

Ranks = npt.NDArray[np.int64]


def take_best(ranks: Sequence[Ranks], ties: Ties, amounts: Sequence[int]) -> npt.NDArray[np.intp]:
    """The axis that takes each sample, as its position; the number of axes for those that none takes.

    `ranks` are each axis's from 1, all different; `amounts` are how many each axis takes, where there are enough. In
    order of rank each sample goes to the axis that ranks it best (of equal ranks, `ties` pick one), until one axis has
    its number. The others then go on with the samples that are left, in the same way.
    """
    labels = np.full(len(ties), len(ranks))
    axes = list(range(len(ranks)))
    while axes:
        left = np.flatnonzero(labels == len(ranks))
        here = np.stack([ranks[axis][left] for axis in axes])
        prefers = _preferences(here, ties[left])
        full_at = [_kth(here[k, prefers == k], amounts[axis]) for k, axis in enumerate(axes)]
        first = int(np.argmin(full_at))
        labels[left[(prefers == first) & (here[first] <= full_at[first])]] = axes[first]
        del axes[first]
    return labels


def _preferences(ranks: npt.NDArray[np.int64], ties: Ties) -> npt.NDArray[np.intp]:
    """The position of each sample's best rank, (axes, samples) → (samples)."""
    best = ranks == ranks.min(axis=0)
    turn = (ties % best.sum(axis=0).astype(np.uint64)).astype(np.int64) + 1
    chosen: npt.NDArray[np.intp] = (best.cumsum(axis=0) == turn).argmax(axis=0)
    return chosen


def _kth(ranks: Ranks, k: int) -> float:
    """The rank at which k samples are reached; 0 for none, infinite where there are fewer."""
    if k == 0:
        return 0
    return float(np.partition(ranks, k - 1)[k - 1]) if len(ranks) >= k else np.inf
