"""How much two selections agree: overlap of their samples, and order of their categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.robustness.labels import UNION, Labels

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def jaccard(a: Mask, b: Mask) -> float:
    """|A ∩ B| ÷ |A ∪ B| (Jaccard 1901); 1 for two empty sets."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 1.0


def overlap(labels: Labels, default: Labels) -> dict[str, float]:
    """The Jaccard index of every subset that both policies have."""
    common = [name for name in labels.subsets if name in default.subsets]
    return {name: jaccard(labels.within(name), default.within(name)) for name in common}


def kendall(x: Values, y: Values) -> float | None:
    """Kendall's τ_b, which allows for ties (Kendall 1945, Biometrika 33); None where either is constant."""
    order_x, order_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))
    scale = float(np.sqrt((order_x**2).sum() * (order_y**2).sum()))
    return float((order_x * order_y).sum()) / scale if scale else None


def spearman(x: Values, y: Values) -> float | None:
    """Spearman's ρ, with mean ranks for ties; None where either is constant."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(x), _ranks(y)))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / scale if scale else None


def _ranks(values: Values) -> Values:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: Values = (last - (counts - 1) / 2)[place]
    return mean


def shares_by_category(labels: Labels, subset: str, categories: npt.NDArray[np.intp], n: int) -> Values:
    """The share of each category's samples that a subset (or `union`) has, shape (n,)."""
    own = np.bincount(categories[labels.within(subset)], minlength=n)
    shares: Values = own / np.maximum(np.bincount(categories, minlength=n), 1)
    return shares


def category_order(labels: Labels, default: Labels, categories: npt.NDArray[np.intp], n: int) -> dict[str, Any]:
    """Spearman's ρ and Kendall's τ_b between the categories' shares here and in the default, for `union` and each
    common subset.

    1 means that the categories stand in the same order, however much is kept of them.
    """
    found = {}
    for name in (UNION, *(s for s in labels.subsets if s in default.subsets)):
        x, y = (np.round(shares_by_category(one, name, categories, n), 12) for one in (labels, default))
        found[name] = {"spearman": spearman(x, y), "kendall": kendall(x, y)}
    return found
