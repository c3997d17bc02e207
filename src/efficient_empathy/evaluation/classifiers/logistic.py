"""Multinomial logistic regression on dense and sparse features together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.classifiers.ngrams import BUCKETS, Grams
from efficient_empathy.scoring.judges.distilled import softmax

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


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


def fit(dense: Floats, sparse: Grams, labels: Labels, classes: int, strength: float, iterations: int = 150) -> Weights:
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
