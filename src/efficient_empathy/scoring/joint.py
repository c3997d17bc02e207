"""Two axes together, from the distribution of each and one number for how they hang together.

p(s, r) = p(s) p(r) (1 + c (s − E s)(r − E r)), the family of Sarmanov (1966) with linear kernels: both marginals stay
what they are, c = 0 is independence, and c × var(s) × var(r) is the covariance that the text leaves unexplained.
`association` is c; it is small, and where the formula would go below zero, the probability is cut off at zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[Any]
"""Distributions, (samples, levels), lowest level first."""
_STEP = 2.0**20


def cell_masses(
    first: Table, second: Table, cells: npt.NDArray[np.bool_], association: npt.NDArray[Any] | float = 0.0
) -> npt.NDArray[np.float32]:
    """P(subset) of each sample, (samples, subsets): the mass on the subset's cells, (subsets, levels, levels).

    Probabilities are rounded to 2⁻²⁰ first, so that every sum is exact and a row's result does not hang on its place in
    the array. `association` is one number, or one a sample.
    """
    p, q = (np.rint(np.asarray(table, dtype=np.float64) * _STEP) for table in (first, second))
    total = p.sum(axis=1) * q.sum(axis=1)
    u, v = (np.rint(table * _centred(table)) for table in (p, q))
    c = np.asarray(association, dtype=np.float64)
    masses = [
        (((p @ cell) * q).sum(axis=1) + c * ((u @ cell) * v).sum(axis=1)) / total for cell in cells.astype(np.float64)
    ]
    found = np.maximum(np.stack(masses, axis=1), 0)
    shares: npt.NDArray[np.float32] = (found / found.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def expected_counts(
    first: Table, second: Table, association: npt.NDArray[Any] | float = 0.0
) -> npt.NDArray[np.float64]:
    """How many samples are expected at each pair of levels, (levels of the first, levels of the second)."""
    p, q = (np.asarray(table, dtype=np.float64) for table in (first, second))
    c = np.broadcast_to(np.asarray(association, dtype=np.float64), (len(p),))[:, None]
    together: npt.NDArray[np.float64] = p.T @ q + (c * p * _centred(p)).T @ (q * _centred(q))
    return np.maximum(together, 0)


def fit_association(first: Table, second: Table, true_first: Table, true_second: Table) -> float:
    """c by moments: what is left of the two true scores' covariance, over the product of the variances expected."""
    left, variances = np.ones(len(first)), np.ones(len(first))
    for table, true in ((first, true_first), (second, true_second)):
        p = np.asarray(table, dtype=np.float64)
        levels = np.arange(p.shape[1])
        left *= true @ levels - p @ levels
        variances *= (p * _centred(p) ** 2).sum(axis=1)
    return float(left.mean() / variances.mean())


def _centred(table: Table) -> Table:
    """The levels less their mean under each row, (samples, levels)."""
    levels = np.arange(table.shape[1])
    centred: Table = levels - (table @ levels / table.sum(axis=1))[:, None]
    return centred
