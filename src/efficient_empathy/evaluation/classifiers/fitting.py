"""Fitting a classifier: multinomial logistic regression, and how well it agrees with labels it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.classifiers.features import BUCKETS, Floats, Grams
from efficient_empathy.scoring.judges.distilled import softmax

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """What was fitted: logits are dense @ `dense` + grams @ `sparse` + `bias`."""

    dense: Floats
    """(features × labels)."""
    sparse: Floats
    """(BUCKETS × labels)."""
    bias: Floats
    """(labels,)."""

    def probabilities(self, dense: Floats, sparse: Grams) -> Floats:
        """(rows × labels)."""
        return softmax((dense @ self.dense + sparse.dot(self.sparse) + self.bias).astype(np.float32))


def fit(dense: Floats, sparse: Grams, labels: Ints, classes: int, strength: float, iterations: int = 150) -> Weights:
    """The weights of least Σ cross-entropy + ‖W‖² ÷ (2 × `strength`), by L-BFGS (Liu & Nocedal 1989); the bias is free.

    `dense` is (rows × features), `labels` whole numbers below `classes`. Needs scipy.
    """
    from scipy.optimize import minimize
    from scipy.sparse import csr_array

    rows, width = dense.shape
    used, columns = np.unique(sparse.columns, return_inverse=True)
    lexical = csr_array((sparse.values, columns, sparse.starts), shape=(rows, len(used)))
    turned = lexical.T.tocsr()
    wanted = np.zeros((rows, classes), np.float32)
    wanted[np.arange(rows), labels] = 1
    start = np.zeros((width + len(used) + 1, classes))
    start[-1] = np.log((wanted.sum(0) + 1) / (rows + classes))

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        w = flat.reshape(start.shape)
        narrow = w.astype(np.float32)
        p = softmax(dense @ narrow[:width] + lexical @ narrow[width:-1] + narrow[-1])
        off = p - wanted
        slope = np.concatenate([dense.T @ off, turned @ off, off.sum(0, keepdims=True)]).astype(np.float64)
        slope[:-1] += w[:-1] / strength
        value = -np.log(p[np.arange(rows), labels] + 1e-12).sum(dtype=np.float64)
        return float(value + (w[:-1] ** 2).sum() / (2 * strength)), slope.ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations, "ftol": 1e-7})
    w = found.x.reshape(start.shape).astype(np.float32)
    whole = np.zeros((BUCKETS, classes), np.float32)
    whole[used] = w[width:-1]
    return Weights(w[:width], whole, w[-1])


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
