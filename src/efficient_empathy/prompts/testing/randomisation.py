"""Tests by randomisation: what a figure would be if nothing but chance told two judgings apart. No normal curve.

Two ways to shuffle. `swapped` exchanges the two judgings of whole dialogues: the sign of each dialogue's difference is
drawn (Fisher 1935, chapter 3). It holds even where a judge repeats itself within a judging and not between two.
`regrouped` deals an item's readings anew to the two judgings (Pitman 1937), for figures that do not change their sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np

from efficient_empathy.foundation.statistics.measured import Floats

DRAWS = 40_000
"""So many that a p-value can go below a ten-thousandth."""
MOST_SPLITS = 500
"""Where readings can be dealt in more ways, so many of them are drawn."""
_CHUNK = 5_000


def swapped(differences: Floats, clusters: Sequence[str], seed: int, draws: int = DRAWS) -> Floats:
    """Sums of `differences`, shape (figures, items), with the sign of each cluster drawn; shape (figures, draws).

    nan, a difference that there is not, counts as 0.
    """
    _, codes = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    filled = np.nan_to_num(differences)
    sums = np.stack([np.bincount(codes, row) for row in filled], axis=1)
    rng = np.random.default_rng(seed)
    sums_by_draw = []
    for start in range(0, draws, _CHUNK):
        rows = min(_CHUNK, draws - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes(rows * -(-len(sums) // 8)), np.uint8).reshape(rows, -1), axis=1)
        sums_by_draw.append(2 * (bits[:, : len(sums)].astype(np.float64) @ sums) - sums.sum(0))
    return np.concatenate(sums_by_draw).T


def splits(first: int, second: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """The ways to deal `first` + `second` readings into a first and a second judging; all, or `MOST_SPLITS` drawn."""
    together = range(first + second)
    if comb(first + second, first) <= MOST_SPLITS:
        chosen = [list(one) for one in combinations(together, first)]
    else:
        rng = np.random.default_rng(seed)
        chosen = [sorted(rng.choice(first + second, first, replace=False).tolist()) for _ in range(MOST_SPLITS)]
    return [(one, [i for i in together if i not in one]) for one in chosen]


def regrouped(tables: Sequence[Floats], seed: int, draws: int = DRAWS) -> Floats:
    """Sums over items of what each would give, one of its `tables`' rows drawn; shape (figures, draws).

    A table has shape (splits, figures): an item's figures under each way to deal its readings. Without items, zeros of
    shape (1, draws).
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((tables[0].shape[1] if tables else 1, draws))
    for table in tables:
        if len(table) == 1 or (table == table[0]).all():
            total += table[0][:, None]
        else:
            total += table[rng.integers(0, len(table), draws, dtype=np.uint16)].T
    return total
