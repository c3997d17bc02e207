"""P(subset) of every row, from the judge's distributions and a policy's rules: batch by batch, past memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations
from math import prod

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import PROBABILITIES
from efficient_empathy.scoring.dependence import Distributions, subset_masses
from efficient_empathy.scoring.scores import DEPENDENCE
from efficient_empathy.selection.policies.conditions import on_columns
from efficient_empathy.selection.policies.rule_policy import BoundRules
from efficient_empathy.selection.shares import Probabilities, Ties, tie_hash

MOST_CELLS = 1_000_000
"""Combinations of levels over which probabilities are summed."""
_MOST_COMPARISONS = 60
_BATCH = 1 << 17
_PATTERNS = 64
Pattern = tuple[bool, ...]
"""Whether each of a policy's comparisons with facts holds."""


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
    return masses_of(bound, ready_batches(bound, scores, scored, seed))


def masses_of(bound: BoundRules, batches: Iterable[ReadyBatch]) -> RowMasses:
    """The masses of `ready_batches`, which may be those of another policy that looks at the same axes and facts.

    Raises `UserError` for too many comparisons with facts.
    """
    _check_size(bound)
    cells_of = lru_cache(_PATTERNS)(partial(_cells, bound))
    scored, ties = [np.zeros(0, np.bool_)], [np.zeros(0, np.uint64)]
    masses = [np.zeros((0, len(bound.policy.subsets)), np.float32)]
    for batch in batches:
        scored.append(batch.scored)
        ties.append(batch.ties)
        masses.append(batch.masses(bound, cells_of))
    return RowMasses(np.concatenate(scored), np.concatenate(masses), np.concatenate(ties))


def ready_batches(bound: BoundRules, scores: pl.LazyFrame, scored: pl.Expr, seed: int) -> Iterator[ReadyBatch]:
    """All of `row_masses` that thresholds do not change, for policies that look at the axes and facts of this one."""
    schema = scores.collect_schema()
    _check_levels(bound, schema)
    columns = scores.select(
        "sample_id",
        scored.alias("scored"),
        *(pl.col(axis).cast(pl.Float32) for axis in bound.axes),
        *map(distribution_column, bound.axes),
        *([DEPENDENCE] if DEPENDENCE in schema else []),
        *bound.policy.facts,
    )
    every = list(combinations(bound.scales, 2))
    pairs = [every.index(pair) for pair in combinations(bound.axes, 2)] if DEPENDENCE in schema else []
    for batch in columns.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
        rows = batch.filter("scored")
        names = [distribution_column(axis) for axis in bound.axes]
        whole = rows.select(pl.all_horizontal(pl.col(names).is_not_null())).to_series().to_numpy()
        complete = rows if whole.all() else rows.filter(whole)
        numbers = np.nan_to_num(complete[DEPENDENCE].to_numpy().astype(np.float64)[:, pairs]) if pairs else 0.0
        yield ReadyBatch(
            batch["scored"].to_numpy(),
            tie_hash(rows["sample_id"], seed),
            rows.select(*bound.axes, *bound.policy.facts),
            np.flatnonzero(whole),
            Distributions([complete[name].to_numpy() for name in names], numbers),
        )


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """Some rows: which are scored, and of those the hash, the scores and facts, and the distributions of `whole`.

    `whole` has the places of the rows with a distribution on every axis.
    """

    scored: npt.NDArray[np.bool_]
    ties: Ties
    rows: pl.DataFrame
    whole: npt.NDArray[np.intp]
    distributions: Distributions

    def masses(self, bound: BoundRules, cells_of: Callable[[Pattern], npt.NDArray[np.bool_]]) -> Probabilities:
        """P(subset) of the scored rows, (rows, subsets); `cells_of` has the cells by which comparisons hold."""
        truths = self.rows.select(on_columns(atom).alias(text) for text, atom in bound.fact_atoms.items())
        if len(self.whole) < len(self.rows):
            points = {axis: self.rows[axis].to_numpy() for axis in bound.axes}
            codes = bound.codes_at(points | {text: truths[text].to_numpy() for text in bound.fact_atoms})
            masses = np.eye(len(bound.policy.subsets), dtype=np.float32)[codes]
        else:
            masses = np.empty((len(self.rows), len(bound.policy.subsets)), np.float32)
        for pattern, members in _patterns(truths, self.whole):
            part = self.distributions if members is None else self.distributions.of(members)
            masses[self.whole if members is None else self.whole[members]] = part.masses(cells_of(pattern))
        return masses


def _cells(bound: BoundRules, pattern: Pattern) -> npt.NDArray[np.bool_]:
    codes = bound.grid_codes(dict(zip(bound.fact_atoms, pattern, strict=True)))
    cells: npt.NDArray[np.bool_] = codes == np.arange(len(bound.policy.subsets)).reshape(-1, *[1] * codes.ndim)
    return cells


def _patterns(
    truths: pl.DataFrame, whole: npt.NDArray[np.intp]
) -> Iterator[tuple[Pattern, npt.NDArray[np.intp] | None]]:
    """Which comparisons with facts hold, and the places in `whole` where it is these; None for all of them."""
    if not truths.width:
        if len(whole):
            yield (), None
        return
    bits = np.stack([column.to_numpy()[whole] for column in truths], axis=1)
    numbers = bits @ (np.uint64(1) << np.arange(truths.width, dtype=np.uint64))
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    for group, row in enumerate(first):
        yield tuple(map(bool, bits[row])), np.flatnonzero(place == group)


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
