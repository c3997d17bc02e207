"""The distilled judge's head, fitted anew to what the expert judged: it learnt from another judge, of other habits.

Per axis a multinomial logistic regression: to the judge's own log-probabilities, for every level, a linear function of
the means and spreads of both axes is added, with a normal prior around nothing: few judgements move little. It needs no
torch and takes a moment.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from efficient_empathy.labelling.cascade.guesses import Tables
from efficient_empathy.scoring.judges.distilled import softmax

Floats = npt.NDArray[np.float64]
PRIOR = 10.0
"""Precision of the prior on every weight, in samples: chosen by cross-validation on 5,734 ChatGPT judgements."""
STEPS = 20
FLOOR = 1e-4


def refit(tables: Tables, taught: npt.NDArray[np.intp], scores: Floats) -> Tables:
    """Distributions of all samples, fitted to the whole `scores`, shape (taught, axes), of the samples `taught`.

    `tables` has shape (samples, axes, levels). Scores that are not whole count for both neighbours.
    """
    logs = np.log(np.maximum(tables, FLOOR)).astype(np.float64)
    levels = np.arange(tables.shape[2])
    means = tables @ levels
    features = np.concatenate([means, np.sqrt(np.maximum(tables @ levels**2 - means**2, 0))], axis=1, dtype=np.float64)
    x = np.column_stack([(features - features.mean(0)) / (features.std(0) + 1e-6), np.ones(len(features))])
    refitted = np.empty_like(tables)
    for axis in range(tables.shape[1]):
        targets = _targets(scores[:, axis], tables.shape[2])
        weights = _fit(x[taught], logs[taught, axis], targets)
        refitted[:, axis] = softmax(logs[:, axis] + x @ weights)
    return refitted


def _targets(scores: Floats, levels: int) -> Floats:
    low = np.clip(np.floor(scores).astype(np.intp), 0, levels - 1)
    high = np.minimum(low + 1, levels - 1)
    targets = np.zeros((len(scores), levels))
    rows = np.arange(len(scores))
    np.add.at(targets, (rows, low), 1 - (scores - low))
    np.add.at(targets, (rows, high), scores - low)
    return targets


def _fit(x: Floats, offset: Floats, targets: Floats) -> Floats:
    """Newton's method on the penalised cross-entropy of softmax(offset + x W); W has shape (features, levels)."""
    features, levels = x.shape[1], targets.shape[1]
    weights = np.zeros((features, levels))
    value = _loss(x, offset, targets, weights)
    for _ in range(STEPS):
        p = softmax(offset + x @ weights)
        slope = (x.T @ (p - targets) + PRIOR * weights).T.ravel()
        curvature = PRIOR * np.eye(features * levels)
        for a in range(levels):
            for b in range(a, levels):
                block = (x * (p[:, a] * ((a == b) - p[:, b]))[:, None]).T @ x
                rows, columns = slice(a * features, (a + 1) * features), slice(b * features, (b + 1) * features)
                curvature[rows, columns] += block
                if a != b:
                    curvature[columns, rows] += block.T
        step = np.linalg.solve(curvature, slope).reshape(levels, features).T
        length = 1.0
        while length > 1e-3 and _loss(x, offset, targets, weights - length * step) > value:
            length /= 2
        weights = weights - length * step
        before, value = value, _loss(x, offset, targets, weights)
        if before - value < 1e-6 * abs(before):
            break
    return weights


def _loss(x: Floats, offset: Floats, targets: Floats, weights: Floats) -> float:
    p = softmax(offset + x @ weights)
    return float(-(targets * np.log(p + 1e-300)).sum() + PRIOR * (weights**2).sum() / 2)
