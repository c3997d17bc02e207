"""Axes together, from the distribution of each and one number per pair for the dependence between them.

p(x) = Π p_i(x_i) · (1 + Σ_{i<j} c_ij (x_i − E x_i)(x_j − E x_j)), the family of Sarmanov (1966) with linear kernels:
every marginal stays what it is, c = 0 is independence, and c_ij × var(x_i) × var(x_j) is the covariance that the text
leaves unexplained. An axis that is left out takes its terms with it, so any axes can be looked at without the others.
Wherever `dependence` is written, it has one c per pair of axes, in the order of `itertools.combinations`; the numbers
are small, and where the formula would go below zero, the probability is cut off at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[Any]
"""Distributions, (samples, levels), lowest level first."""
_STEP = 2.0**20
_CHUNK = 1 << 22
"""Numbers held at once while the axes are summed over one after the other."""
_ROWS = 1 << 17
"""Samples made ready at once."""
_PRODUCT = 1 << 16
"""Products of one multiplication of matrices: fewer than BLAS shares out among threads, which on a busy machine wait
for each other, and a piece stays in the cache."""


class Distributions:
    """Samples' distributions on axes together, made ready: the mass on any cells of the axes comes quickly from them.

    `tables` has one distribution per axis. `dependence` has one number per pair of axes, in the order of
    `itertools.combinations`: (samples, pairs), or (pairs,) or one number for all.
    Probabilities are rounded to 2⁻²⁰ first, and so is what is passed on from one axis to the next, so that every sum is
    exact and a row's result does not hang on its place in the array.
    """

    def __init__(self, tables: Sequence[Table], dependence: npt.NDArray[Any] | float = 0.0) -> None:
        pairs = len(tables) * (len(tables) - 1) // 2
        self._plain = [np.rint(np.asarray(table, dtype=np.float64) * _STEP) for table in tables]
        self._totals = [table.sum(axis=1) for table in self._plain]
        self._numbers = np.broadcast_to(np.asarray(dependence, dtype=np.float64), (len(tables[0]), pairs))
        dependent = self._numbers.any()
        self._moments = [np.rint(table * _centre(table)) for table in self._plain] if dependent else []

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, rows: npt.NDArray[np.intp] | slice) -> Distributions:
        """Those of some of the samples."""
        part = copy(self)
        part._plain, part._totals, part._moments = (
            [table[rows] for table in tables] for tables in (self._plain, self._totals, self._moments)
        )
        part._numbers = self._numbers[rows]
        return part

    def masses(self, cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """P(subset) of each sample, (samples, subsets): the mass on its cells, (subsets, levels, levels, …)."""
        blocks, members = _merge_levels(cells)
        chunk = max(1, _CHUNK // (blocks.size // blocks.shape[1]))
        if len(self) <= chunk:
            return self._masses(blocks, members)
        parts = (self.of(slice(at, at + chunk)) for at in range(0, len(self), chunk))
        return np.concatenate([part._masses(blocks, members) for part in parts])

    def _masses(self, cells: npt.NDArray[Any], members: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        totals = self._totals
        probabilities = [_times(table, member) for table, member in zip(self._plain, members, strict=True)]
        mass = _mass_on(cells, probabilities, totals)
        if self._moments:
            kernels = [_times(table, member) for table, member in zip(self._moments, members, strict=True)]
            for pair, number in zip(combinations(range(len(members)), 2), self._numbers.T, strict=True):
                factors = [kernels[axis] if axis in pair else probabilities[axis] for axis in range(len(members))]
                mass = mass + number[:, None] * _mass_on(cells, factors, totals)
        total = totals[0] * totals[-1] if len(totals) > 1 else totals[0]
        masses = np.maximum(mass / total[:, None], 0)
        shares: npt.NDArray[np.float32] = (masses / masses.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares


def subset_masses(
    tables: Sequence[Table], cells: npt.NDArray[np.bool_], dependence: npt.NDArray[Any] | float = 0.0
) -> npt.NDArray[np.float32]:
    """`Distributions(tables, dependence).masses(cells)`, with few samples ready at once."""
    rows, pairs = len(tables[0]), len(tables) * (len(tables) - 1) // 2
    numbers = np.broadcast_to(np.asarray(dependence, dtype=np.float64), (rows, pairs))
    places = [slice(at, at + _ROWS) for at in range(0, max(rows, 1), _ROWS)]
    masses = [Distributions([table[here] for table in tables], numbers[here]).masses(cells) for here in places]
    return np.concatenate(masses)


def _mass_on(cells: npt.NDArray[Any], factors: Sequence[Table], totals: Sequence[Table]) -> npt.NDArray[np.float64]:
    """Σ of the factors' product over each subset's cells, (samples, subsets), one axis after the other.

    In units of the first and the last axis's total: those of the axes between are divided out at once.
    """
    by_level = np.moveaxis(cells, 1, 0)
    rest = _times(factors[0], by_level.reshape(len(by_level), -1))
    rest = rest.reshape(len(rest), *by_level.shape[1:])
    for axis, factor in enumerate(factors[1:], 1):
        rest = np.einsum("nkj...,nj->nk...", rest, factor)
        if axis < len(factors) - 1:
            rest = np.rint(rest / totals[axis].reshape(-1, *[1] * (rest.ndim - 1)))
    return rest


def _times(table: Table, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`table @ matrix`, piece by piece: the same numbers, since every sum here is exact."""
    rows = max(1, _PRODUCT // matrix.size)
    if len(table) <= rows:
        product: npt.NDArray[np.float64] = table @ matrix
        return product
    product = np.empty((len(table), matrix.shape[1]))
    for at in range(0, len(table), rows):
        np.matmul(table[at : at + rows], matrix, out=product[at : at + rows])
    return product


def _merge_levels(cells: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], list[npt.NDArray[np.float64]]]:
    """The cells with those levels of an axis as one that no subset tells apart, and each axis's (levels, merged)."""
    members = []
    for axis in range(1, cells.ndim):
        by_level = np.moveaxis(cells, axis, 0).reshape(cells.shape[axis], -1)
        _, first, place = np.unique(np.packbits(by_level, axis=1), axis=0, return_index=True, return_inverse=True)
        cells = cells.take(first, axis=axis)
        members.append(np.eye(len(first))[place.ravel()])
    return cells.astype(np.float64), members


def expected_counts(tables: Sequence[Table], dependence: npt.NDArray[Any] | float = 0.0) -> npt.NDArray[np.float64]:
    """How many samples are expected at each combination of levels, one dimension per axis.

    `tables` has one distribution per axis; `dependence` is as in `subset_masses`.
    """
    rows, pairs = len(tables[0]), len(tables) * (len(tables) - 1) // 2
    c = np.broadcast_to(np.asarray(dependence, dtype=np.float64), (rows, pairs))
    shape = tuple(table.shape[1] for table in tables)
    chunk = max(1, _CHUNK // (math.prod(shape) // shape[0]))
    counts = np.zeros(shape)
    for at in range(0, rows, chunk):
        plain = [np.asarray(table[at : at + chunk], dtype=np.float64) for table in tables]
        together = _sum_of_products(plain)
        if (part := c[at : at + chunk]).any():
            kernels = [table * _centre(table) for table in plain]
            for pair, number in zip(combinations(range(len(tables)), 2), part.T, strict=True):
                factors = [kernels[axis] if axis in pair else plain[axis] for axis in range(len(tables))]
                together += _sum_of_products([number[:, None] * factors[0], *factors[1:]])
        counts += together
    return np.maximum(counts, 0)


def _sum_of_products(factors: Sequence[Table]) -> npt.NDArray[np.float64]:
    """Σ over samples of the factors' outer product, (levels, levels, …)."""
    others = np.ones((len(factors[0]), 1))
    for factor in factors[1:]:
        others = (others[:, :, None] * factor[:, None, :]).reshape(len(factor), -1)
    total: npt.NDArray[np.float64] = (factors[0].T @ others).reshape([factor.shape[1] for factor in factors])
    return total


def fit_dependence(tables: Sequence[Table], targets: Sequence[Table]) -> tuple[float, ...]:
    """The c of every pair of axes, none for one axis, from distributions and the true ones, `targets`.

    By moments: what is left of the two true scores' covariance, over the product of the variances expected.
    """
    rest, variances = [], []
    for table, target in zip(tables, targets, strict=True):
        p = np.asarray(table, dtype=np.float64)
        levels = np.arange(p.shape[1])
        rest.append(target @ levels - p @ levels)
        variances.append((p * _centre(p) ** 2).sum(axis=1))
    pairs = combinations(range(len(tables)), 2)
    return tuple(float((rest[i] * rest[j]).mean() / (variances[i] * variances[j]).mean()) for i, j in pairs)


def _centre(table: Table) -> Table:
    """The levels less their mean under each row, (samples, levels)."""
    levels = np.arange(table.shape[1])
    values: Table = levels - (table @ levels / table.sum(axis=1))[:, None]
    return values
