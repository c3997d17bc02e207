"""Training sets that a selection has to beat, drawn from all that there is to train on.

`all` has everything, `discard` what the default selection leaves out. `random` has as many samples as the selection,
drawn from all: a selection that only matters by its size ties with it. `length-matched random` is drawn from all as
well, with the selection's distribution of response lengths: longer responses alone make another model (in loss, in
overlap with references, in specificity), and a selection that only picked lengths ties with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from efficient_empathy.selection.ties import tie_hash

BINS = 20
"""Quantile bins of response length at most."""
RANDOM, MATCHED = "random", "length-matched random"


def length_matched(rows: pl.DataFrame, like: pl.DataFrame, seed: int, bins: int = BINS) -> pl.DataFrame:
    """As many of `rows` as `like` has, with its distribution of response lengths, in the order of `rows`.

    Lengths are in words. They are cut at the quantiles of `like`, and from every bin as many rows are drawn without
    replacement, by a seeded hash, as `like` has there. `like` must be a part of `rows`, so that every bin has enough.
    Columns: `sample_id`, `response`.
    """
    cuts = np.unique(np.quantile(_words(like), np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    wanted = np.bincount(np.searchsorted(cuts, _words(like)), minlength=len(cuts) + 1)
    there = np.searchsorted(cuts, _words(rows))
    order = np.argsort(tie_hash(rows["sample_id"], seed), kind="stable")
    chosen = np.concatenate([order[there[order] == k][:n] for k, n in enumerate(wanted)])
    return rows[np.sort(chosen)]


def _words(rows: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return rows["response"].str.split(" ").list.len().cast(pl.Int64).to_numpy()


def baselines(
    rows: pl.DataFrame, selected: pl.DataFrame, discarded: pl.DataFrame, seeds: int
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every baseline's name and samples.

    `rows` is all that there is to train on; parts of it are `selected`, the default cell's subset, and `discarded`.
    """
    yield "all", rows
    yield "discard", discarded
    for seed in range(1, seeds + 1):
        drawn = np.argsort(tie_hash(rows["sample_id"], seed), kind="stable")[: len(selected)]
        yield f"{RANDOM} (seed {seed})", rows[np.sort(drawn)]
    for seed in range(1, seeds + 1):
        yield f"{MATCHED} (seed {seed})", length_matched(rows, selected, seed)


def kind(name: str) -> str:
    """A baseline's name without its seed."""
    return name.partition(" (seed ")[0]
