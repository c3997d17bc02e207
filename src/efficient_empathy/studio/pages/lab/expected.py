"""How many samples of each category the judge expects at each point, from its distributions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.run.table import PROBABILITIES, RunTable, readable
from efficient_empathy.studio.pages.lab.points import Points, Rows

_BATCH = 1 << 13
Table = npt.NDArray[np.float64]


def expected_counts(table: RunTable, rows: Rows, points: Points) -> pl.DataFrame | None:
    """Columns `point`, `other 0` (the category) and `n`; a category's sum is its number of scored samples.

    A sample without distributions counts at its scores. None where the axes have too many scores together.
    """
    if points.grid is None:
        return None
    names = [f"{axis.name}{PROBABILITIES}" for axis in rows.axes]
    columns = ["row", *names, *(["dependence"] if "dependence" in table.columns else [])]
    patterns, cells = points.grid.shape
    categories = rows.frame["place of"].to_numpy().astype(np.int64)
    scored, group = rows.frame["row"].to_numpy(), categories * patterns + points.pattern_of_rows
    sums = np.zeros((len(rows.categories) * patterns, cells))
    alone = np.zeros(len(scored), np.bool_)
    pairs = _pairs(table, rows)
    with readable(table.workspace.scores):
        for batch in table.scan(columns).collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
            _add(batch, names, pairs, (scored, group), sums, alone)
    counts = [(points.grid[g % patterns], g // patterns, sums[g]) for g in np.flatnonzero(sums.sum(axis=1))]
    parts = [
        pl.DataFrame({"point": at[n > 0], "other 0": np.full((n > 0).sum(), category), "n": n[n > 0]})
        for at, category, n in counts
    ]
    certain = pl.DataFrame({"point": points.of_rows[alone], "other 0": categories[alone]})
    parts.append(certain.with_columns(pl.lit(1.0).alias("n")))
    return pl.concat(parts).group_by("point", "other 0").agg(pl.col("n").sum()).sort("point", "other 0")


def joint_counts(tables: Sequence[Table], dependence: npt.NDArray[np.float64]) -> Table:
    """Expected counts at every combination of levels, the last axis fastest; as `scoring.joint` has probabilities.

    `tables` are distributions, (samples, levels) an axis; `dependence` has a number per pair of them, (samples, pairs).
    """
    together = _outer_sum(tables)
    for pair, number in zip(combinations(range(len(tables)), 2), dependence.T, strict=True):
        if number.any():
            factors = [t * _centred(t) if axis in pair else t for axis, t in enumerate(tables)]
            factors[pair[0]] = factors[pair[0]] * number[:, None]
            together = together + _outer_sum(factors)
    positive: Table = np.maximum(together, 0)
    return positive


def _add(
    batch: pl.DataFrame,
    names: Sequence[str],
    pairs: Sequence[int],
    known: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]],
    sums: Table,
    alone: npt.NDArray[np.bool_],
) -> None:
    """Add a batch of the table to the sums of its groups; mark what has no distributions as `alone`."""
    scored, group = known
    first, last = np.searchsorted(scored, [batch["row"][0], batch["row"][-1] + 1]) if len(batch) else (0, 0)
    here = batch[(scored[first:last] - batch["row"][0]).astype(np.int64)] if last > first else batch.clear()
    whole = here.select(pl.all_horizontal(pl.col(names).is_not_null())).to_series().to_numpy()
    alone[first:last] = ~whole
    here, groups = here.filter(pl.Series(whole)), group[first:last][whole]
    for one in np.unique(groups):
        part = here.filter(pl.Series(groups == one))
        tables = [part[name].to_numpy().astype(np.float64) for name in names]
        tables = [t / t.sum(axis=1, keepdims=True) for t in tables]
        numbers = np.zeros((len(part), len(names) * (len(names) - 1) // 2))
        if pairs and "dependence" in part.columns:
            numbers = np.nan_to_num(part["dependence"].to_numpy().astype(np.float64)[:, pairs])
        counts = joint_counts(tables, numbers)
        sums[one] += counts * (len(part) / counts.sum())


def _pairs(table: RunTable, rows: Rows) -> list[int]:
    """Where the pairs of the drawn axes stand among all pairs of the rubric."""
    every = list(combinations(table.axis_names, 2))
    return [every.index(pair) for pair in combinations([axis.name for axis in rows.axes], 2)]


def _outer_sum(factors: Sequence[Table]) -> Table:
    """Σ over samples of the outer product of their rows, flat."""
    left = factors[0]
    for factor in factors[1:-1]:
        left = (left[:, :, None] * factor[:, None, :]).reshape(len(left), -1)
    summed: Table = left.T @ factors[-1] if len(factors) > 1 else left.sum(axis=0)
    return summed.ravel()


def _centred(table: Table) -> Table:
    levels = np.arange(table.shape[1])
    centred: Table = levels - (table @ levels)[:, None]
    return centred
