"""Corpus BLEU from sums of clipped matches (Papineni et al. 2002, doi:10.3115/1073083.1073135)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def bleu(matches: Floats, totals: Floats, lengths: Floats, reference_lengths: Floats) -> Floats:
    """BLEU of orders 1 to n with uniform weights, each a share of 1.

    `matches` and `totals` are sums over rows, shape (draws, n); the lengths have shape (draws,). Without any match of
    some order, BLEU of it and higher ones is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.log(np.where(totals > 0, matches / totals, 0.0))
        means = np.cumsum(precisions, axis=1) / np.arange(1, matches.shape[1] + 1)
        penalty = np.where(lengths < reference_lengths, np.exp(1 - reference_lengths / lengths), 1.0)
    found: Floats = np.exp(means) * np.where(lengths > 0, penalty, 0.0)[:, None]
    return found
