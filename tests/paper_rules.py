"""The three bundled policies of rules, once more in plain Python, to hold the files against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SUBSETS = {
    "paper": ("sensibility", "rationality", "discard"),
    "exclusive": ("sensibility", "rationality", "discard"),
    "both": ("sensibility", "rationality", "both", "discard"),
}


def subset_of(name: str, sensibility: float, rationality: float, alpha: float, beta: float) -> str:
    """The subset of one pair of scores."""
    if name == "paper":
        if rationality > beta:
            return "rationality"
        return "sensibility" if sensibility > alpha and rationality < beta else "discard"
    if name == "exclusive":
        if sensibility > alpha and rationality < beta:
            return "sensibility"
        return "rationality" if rationality > beta and sensibility < alpha else "discard"
    if sensibility > alpha:
        return "both" if rationality > beta else "sensibility"
    return "rationality" if rationality > beta else "discard"


def odds_of(name: str, row: Mapping[str, object], alpha: float, beta: float) -> dict[str, float]:
    """P(subset) of a row: the mass of both distributions on each subset's cells; certain where one is missing."""
    odds = dict.fromkeys(SUBSETS[name], 0.0)
    tables = [row["sensibility_probabilities"], row["rationality_probabilities"]]
    if None in tables:
        return {**odds, subset_of(name, row["sensibility"], row["rationality"], alpha, beta): 1.0}
    s, r = (np.array(table, dtype=np.float64) / np.sum(table) for table in tables)
    levels = np.arange(11)
    c = (row.get("dependence") or [0.0])[0]
    joint = np.outer(s, r) * (1 + c * np.outer(levels - s @ levels, levels - r @ levels))
    for (i, j), mass in np.ndenumerate(joint):
        odds[subset_of(name, i, j, alpha, beta)] += mass
    odds = {subset: max(mass, 0.0) for subset, mass in odds.items()}
    return {subset: mass / sum(odds.values()) for subset, mass in odds.items()}
