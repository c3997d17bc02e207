"""How well a classifier agrees with labels it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def folds_of(groups: Sequence[str], folds: int, seed: int) -> Ints:
    """A fold number, 0 to folds - 1, for each row; rows of one group share theirs."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    numbers = np.arange(len(names)) % folds
    np.random.default_rng(seed).shuffle(numbers)
    found: Ints = numbers[index]
    return found


def confusion(true: Ints, found: Ints, classes: int) -> npt.NDArray[np.float64]:
    """(classes × classes): how many rows of each true label got each label."""
    return np.bincount(true * classes + found, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def quadratic_kappa(counts: npt.NDArray[np.float64]) -> float:
    """Cohen's kappa with squared distances as weights (Cohen 1968), of a `confusion`; 0 where chance leaves no room."""
    k = np.arange(len(counts))
    weights = (k[:, None] - k) ** 2
    expected = (weights * np.outer(counts.sum(1), counts.sum(0))).sum() / counts.sum()
    return float(1 - (weights * counts).sum() / expected) if expected else 0.0


def macro_f1(counts: npt.NDArray[np.float64]) -> float:
    """The plain mean of each label's F1, 0 for a label that is neither true nor given."""
    return float((2 * np.diag(counts) / np.maximum(counts.sum(0) + counts.sum(1), 1)).mean())


def figures(true: Ints, found: Ints, classes: int, *, ordinal: bool) -> dict[str, float]:
    """`accuracy`, `macro_f1`, of levels also `quadratic_kappa`, and `majority`: what always saying one label gets."""
    counts = confusion(true, found, classes)
    measured = {"quadratic_kappa": quadratic_kappa(counts)} if ordinal else {}
    measured |= {"accuracy": float(np.diag(counts).sum() / len(true)), "macro_f1": macro_f1(counts)}
    return {name: round(value, 4) for name, value in measured.items()} | {
        "majority": round(float(counts.sum(1).max() / len(true)), 4)
    }


def best_cuts(expected: npt.NDArray[np.floating], true: Ints, classes: int) -> tuple[float, ...]:
    """The `classes` - 1 cuts of expected levels, on a grid of quantiles, that agree best with the true levels.

    Best is the highest quadratic kappa; of equals the first.
    """
    grid = np.unique(np.quantile(expected, np.linspace(0.02, 0.98, 49)))
    if len(grid) < classes - 1:
        return tuple(float(level) + 0.5 for level in range(classes - 1))
    places = np.searchsorted(grid, expected)
    table = np.stack([np.bincount(places[true == level], minlength=len(grid) + 1) for level in range(classes)])

    def kappa(chosen: tuple[int, ...]) -> float:
        edges = [0, *(cut + 1 for cut in chosen), len(grid) + 1]
        parts = [table[:, a:b].sum(1) for a, b in pairwise(edges)]
        return quadratic_kappa(np.stack(parts, 1).astype(np.float64))

    best = max(combinations(range(len(grid)), classes - 1), key=kappa)
    return tuple(round(float(grid[cut]), 4) for cut in best)
