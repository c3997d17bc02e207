"""Kappas: agreement beyond chance on a scale of categories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]
"""Ratings, shape (items, raters): values of the scale, nan where a rater did not rate an item."""
KappaWeights = Literal["linear", "quadratic"]


def fleiss_kappa(table: Table, scale: Sequence[float] | None = None) -> float:
    """Fleiss' kappa: how far raters choose the same category of a nominal scale, beyond chance.

    Where every rater rated every item it is Fleiss (1971), as Efficient-Empathy's released `FleissKappa` computes it
    and as `statsmodels.stats.inter_rater.fleiss_kappa` does. Items that fewer raters rated count as Gwet has it
    (Handbook of Inter-Rater Reliability, 4th ed. 2014, chapter 2): agreement is the mean over items with two ratings
    or more of Σ r(r-1) / n(n-1), where r are an item's ratings by category and n their sum; chance is the sum of the
    squared mean shares r/n over items with a rating.

    A 1–5 scale is nominal here: 4 against 5 is as wrong as 1 against 5. nan where it is undefined: no item was rated
    twice, or only one category was ever chosen. `scale` is checked only: every value has to be one of it.
    """
    counts = _counts(table, scale)
    total = counts.sum(1)
    twice = total >= 2
    if not twice.any():
        return float("nan")
    agreeing = (counts * (counts - 1)).sum(1)[twice] / (total * (total - 1))[twice]
    shares = (counts[total > 0] / total[total > 0, None]).mean(0)
    return _beyond_chance(1 - agreeing.mean(), 1 - (shares**2).sum())


def cohen_kappa(
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    weights: KappaWeights | None = "quadratic",
    scale: Sequence[float] | None = None,
) -> float:
    """Cohen's kappa of two raters, weighted (Cohen 1968): 1 - observed ÷ expected disagreement.

    A disagreement weighs as much as the categories are places apart on the `scale`, linearly or squared; without
    weights, 1. The scale is every category in order, by default the values that occur, as `scikit-learn`'s
    `cohen_kappa_score` and `statsmodels`' `cohens_kappa` have it. Only items that both rated count. nan where it is
    undefined: no item was rated by both, or both chose one and the same category throughout.
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    if not len(first):
        return float("nan")
    places, size = _places(np.concatenate([first, second]), scale)
    cells = places[: len(first)] * size + places[len(first) :]
    joint = np.bincount(cells, minlength=size**2).reshape(size, size) / len(first)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    weighed: npt.NDArray[np.float64] = {None: np.sign(apart), "linear": apart, "quadratic": apart**2}[weights]
    return _beyond_chance((weighed * joint).sum(), (weighed * np.outer(joint.sum(1), joint.sum(0))).sum())


def weighted_kappa(
    table: Table, weights: KappaWeights | None = "quadratic", scale: Sequence[float] | None = None
) -> float:
    """The mean of `cohen_kappa` over all pairs of raters (Light 1971); pairs whose kappa is undefined are left out.

    nan where all are. `pair_kappas` gives them one by one.
    """
    found = [kappa for _, _, kappa in pair_kappas(table, weights, scale) if not np.isnan(kappa)]
    return float(np.mean(found)) if found else float("nan")


def pair_kappas(
    table: Table, weights: KappaWeights | None = "quadratic", scale: Sequence[float] | None = None
) -> Iterator[tuple[int, int, float]]:
    """Every two raters (columns of the table) and their `cohen_kappa`."""
    for a, b in combinations(range(table.shape[1]), 2):
        yield a, b, cohen_kappa(table[:, a], table[:, b], weights, scale)


def _counts(table: Table, scale: Sequence[float] | None) -> npt.NDArray[np.float64]:
    """How many raters chose each category, shape (items, categories)."""
    rated = ~np.isnan(table)
    places, size = _places(table[rated], scale)
    cells = np.nonzero(rated)[0] * size + places
    return np.bincount(cells, minlength=len(table) * size).reshape(len(table), size).astype(np.float64)


def _places(values: npt.NDArray[np.float64], scale: Sequence[float] | None) -> tuple[npt.NDArray[np.intp], int]:
    """Each value's place on the scale, and how many places it has."""
    categories = np.unique(values) if scale is None else np.array(sorted(scale), dtype=np.float64)
    places = np.searchsorted(categories, values)
    if scale is not None and not (found := categories[np.minimum(places, len(categories) - 1)] == values).all():
        told = ", ".join(f"{category:g}" for category in categories)
        raise ValueError(f"{values[~found][0]:g} is not on the scale {told}")
    return places, len(categories)


def _beyond_chance(observed: float, expected: float) -> float:
    """1 - observed ÷ expected disagreement; nan where chance alone leaves nothing to disagree about."""
    return float(1 - observed / expected) if expected > 1e-12 else float("nan")
