"""P(subset) of every row, from the judge's distributions and a policy's rules: batch by batch, past memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import prod

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import PROBABILITIES
from efficient_empathy.scoring.dependence import subset_masses
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies.conditions import on_columns
from efficient_empathy.selection.policies.rule_policy import BoundRules
from efficient_empathy.selection.shares import Probabilities, Ties, tie_hash

MOST_CELLS = 1_000_000
"""Combinations of levels over which probabilities are summed."""
_MOST_COMPARISONS = 60
_BATCH = 1 << 17
_PATTERNS = 64


def distribution_column(axis: str) -> str:
    """The column with the distribution of an axis: an array of one probability per level, lowest first."""
    return f"{axis}{PROBABILITIES}"


@dataclass(frozen=True, slots=True)
class RowMasses:
    """`scored`: which rows have scores; and of those, in their order, P(subset) and the hash that breaks ties."""

    scored: npt.NDArray[np.bool_]
    p: Probabilities
    ties: Ties


def row_masses(bound: BoundRules, scores: pl.LazyFrame, scored: pl.Expr, seed: int) -> RowMasses:
    """P(subset) of every row of `scores` that is `scored`, on the axes that the policy looks at alone.

    Where `scores` have no column of dependence, or a row is null in it, the distributions are independent.

    A row without a distribution has its subset by the rules on its scores as certain. Raises `UserError` where the axes
    have too many levels together, or distributions of another length than their scale.
    """
    schema = scores.collect_schema()
    _check_levels(bound, schema)
    columns = scores.select(
        "sample_id",
        scored.alias("scored"),
        *(pl.col(axis).cast(pl.Float32) for axis in bound.axes),
        *map(distribution_column, bound.axes),
        *([DEPENDENCE] if DEPENDENCE in schema else []),
        *(on_columns(atom).alias(text) for text, atom in bound.fact_atoms.items()),
    )
    batches = _Batches(bound, DEPENDENCE in schema)
    has_scores, ties = [np.zeros(0, np.bool_)], [np.zeros(0, np.uint64)]
    masses = [np.zeros((0, batches.subsets), np.float32)]
    for batch in columns.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
        has_scores.append(batch["scored"].to_numpy())
        rows = batch.filter("scored")
        ties.append(tie_hash(rows["sample_id"], seed))
        masses.append(batches.masses(rows))
    return RowMasses(np.concatenate(has_scores), np.concatenate(masses), np.concatenate(ties))


def axis_masses(
    bound: BoundRules, tables: Sequence[npt.NDArray[np.float32]], dependence: Sequence[float]
) -> Probabilities:
    """P(subset) of samples by rules that compare no facts, from a distribution per axis of the rubric, in its order.

    The numbers are those of `row_masses`, without a frame around them, which for one sample takes longer than all else.
    """
    _check_size(bound)
    own = [table for axis, table in zip(bound.scales, tables, strict=True) if axis in bound.axes]
    pairs = list(combinations(bound.scales, 2))
    numbers = [dependence[pairs.index(pair)] for pair in combinations(bound.axes, 2)] if len(dependence) else 0.0
    return subset_masses(own, bound.subset_cells, np.asarray(numbers, np.float32).astype(np.float64))


class _Batches:
    """The masses of one batch of scored rows after the other."""

    def __init__(self, bound: BoundRules, has_dependence: bool) -> None:
        self.bound = bound
        self.subsets = len(bound.policy.subsets)
        pairs = list(combinations(bound.scales, 2))
        self.pairs = [pairs.index(pair) for pair in combinations(bound.axes, 2)] if has_dependence else []
        self.cells = lru_cache(_PATTERNS)(self._cells)

    def masses(self, rows: pl.DataFrame) -> Probabilities:
        """P(subset), (rows, subsets)."""
        names = (*self.bound.axes, *self.bound.fact_atoms)
        codes = self.bound.codes_at({name: rows[name].to_numpy() for name in names})
        masses = np.eye(self.subsets, dtype=np.float32)[codes]
        distributions = [distribution_column(axis) for axis in self.bound.axes]
        complete = rows.select(pl.all_horizontal(pl.col(distributions).is_not_null())).to_series().to_numpy()
        for pattern, members in _patterns(rows, tuple(self.bound.fact_atoms), complete):
            part = rows if len(members) == len(rows) else rows[members]
            tables = [part[name].to_numpy() for name in distributions]
            masses[members] = subset_masses(tables, self.cells(pattern), self._dependence(part))
        return masses

    def _dependence(self, rows: pl.DataFrame) -> npt.NDArray[np.float64] | float:
        if not self.pairs:
            return 0.0
        numbers = rows[DEPENDENCE].to_numpy().astype(np.float64)
        return np.nan_to_num(numbers[:, self.pairs])

    def _cells(self, pattern: tuple[bool, ...]) -> npt.NDArray[np.bool_]:
        codes = self.bound.grid_codes(dict(zip(self.bound.fact_atoms, pattern, strict=True)))
        cells: npt.NDArray[np.bool_] = codes == np.arange(self.subsets).reshape(-1, *[1] * codes.ndim)
        return cells


def _patterns(
    rows: pl.DataFrame, atoms: tuple[str, ...], complete: npt.NDArray[np.bool_]
) -> Iterator[tuple[tuple[bool, ...], npt.NDArray[np.intp]]]:
    """Which comparisons with facts hold, and the rows where it is these."""
    members = np.flatnonzero(complete)
    if not atoms:
        if len(members):
            yield (), members
        return
    bits = np.stack([rows[atom].to_numpy()[members] for atom in atoms], axis=1)
    numbers = bits @ (np.uint64(1) << np.arange(len(atoms), dtype=np.uint64))
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    for group, row in enumerate(first):
        yield tuple(map(bool, bits[row])), members[place == group]


def _check_size(bound: BoundRules) -> dict[str, int]:
    """How many scores each axis has. Raises `UserError` for too many combinations."""
    sizes = {axis: high - low + 1 for axis, (low, high) in bound.scales.items()}
    cells = prod(sizes[axis] for axis in bound.axes)
    if cells > MOST_CELLS:
        raise UserError(
            f"the policy {bound.policy.name} looks at {len(bound.axes)} axes with {cells:,} combinations of scores, "
            f"and probabilities are summed over {MOST_CELLS:,} at most: decide on scores"
        )
    if len(bound.fact_atoms) > _MOST_COMPARISONS:
        raise UserError(
            f"the policy {bound.policy.name} compares facts of the sample in {len(bound.fact_atoms)} ways, and "
            f"probabilities allow {_MOST_COMPARISONS} at most: decide on scores"
        )
    return sizes


def _check_levels(bound: BoundRules, schema: Mapping[str, pl.DataType]) -> None:
    sizes = _check_size(bound)
    for axis in bound.axes:
        _check_array(schema, distribution_column(axis), sizes[axis], f"the scale of {axis} has that many scores")
    pairs = len(sizes) * (len(sizes) - 1) // 2
    if DEPENDENCE in schema:
        _check_array(schema, DEPENDENCE, pairs, f"the rubric's {len(sizes)} axes have that many pairs")


def _check_array(schema: Mapping[str, pl.DataType], name: str, size: int, why: str) -> None:
    dtype = schema[name]
    if not isinstance(dtype, pl.Array) or dtype.shape != (size,):
        raise UserError(f"the column {name} is {dtype} and must be an array of {size}: {why}")
