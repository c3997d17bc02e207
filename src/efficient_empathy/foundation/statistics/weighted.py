"""How much weight errors of two kinds may have in all, given those that a random sample showed: exact.

The sample is drawn at random from a finite population without replacement, so how many errors of each kind it shows is
hypergeometric; no approximation and no assumption on the data is needed.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Weights = tuple[float, float]
MIXTURES = 512
"""Ways to divide errors between the two kinds are looked at one by one up to so many, beyond that in so many groups,
each with the fewest errors of both kinds that are in it: never too few for the bound."""


def most_weight(population: int, draws: int, seen: float, *, shown: Weights, counted: Weights, risk: float) -> float:
    """An upper confidence bound, at 1 - `risk`, on the weight of all errors of the population.

    Errors are of two kinds; `counted` has their weights in the bound, `shown` (the smaller first) those in the sample,
    in which they came to `seen` together. The smallest weight such that, however heavier errors are divided between the
    kinds, the sample would show as little as that with a probability of at most `risk` (Clopper and Pearson 1934 for
    two kinds, with the least favourable mixture of them).
    """
    low, high = 0.0, max(counted) * population
    start = (seen + max(shown)) * population / max(1, draws)
    if start < high and _chance(population, draws, seen, shown, counted, 2 * start) <= risk:
        high = 2 * start
    while high - low > max(0.02, 2e-4 * high):
        middle = (low + high) / 2
        if _chance(population, draws, seen, shown, counted, middle) <= risk:
            high = middle
        else:
            low = middle
    return high


def _chance(population: int, draws: int, seen: float, shown: Weights, counted: Weights, weight: float) -> float:
    """The largest probability of a sample that shows `seen` or less, over all errors that weigh more than `weight`."""
    first, second = _mixtures(population, counted, weight)
    if not len(first):
        return 0.0
    both, (light, heavy) = first + second, shown
    whole = math.floor(seen / heavy + 1e-9)  # of so many errors the kinds do not matter
    chance = np.exp(_log_mass(np.arange(whole + 1)[:, None], both, population, draws)).sum(0)
    for k in range(whole + 1, min(draws, math.floor(seen / light + 1e-9)) + 1):
        most = math.floor((seen - light * k) / (heavy - light) + 1e-9)
        share = np.exp(_log_mass(np.arange(most + 1)[:, None], second, both, k)).sum(0)
        chance += np.exp(_log_mass(np.array(k), both, population, draws)) * np.minimum(1.0, share)
    return float(chance.max())


def _mixtures(population: int, counted: Weights, weight: float) -> tuple[Integers, Integers]:
    """Numbers of errors of each kind that weigh more than `weight` together, one fewer of either weighing less."""
    most = math.floor(weight / counted[0]) + 1
    edges = np.unique(np.linspace(0, most + 1, min(MIXTURES, most + 1) + 1).astype(np.int64))
    first, last = edges[:-1], edges[1:] - 1
    left = weight - counted[0] * last
    second = np.where(left < 0, 0, np.floor(left / counted[1]) + 1).astype(np.int64)
    possible = first + second <= population
    return first[possible], second[possible]


def _log_mass(hits: npt.NDArray[np.int64], successes: Integers, population: Integers | int, draws: int) -> Floats:
    """log P(H = hits) for `draws` without replacement from a `population` with so many `successes`."""
    others = np.asarray(population - successes)
    misses = draws - hits
    possible = (hits <= successes) & (misses >= 0) & (misses <= others)
    log = _log_factorials(int(np.max(population)))

    def choose(n: npt.NDArray[np.int64] | int, k: npt.NDArray[np.int64] | int) -> Floats:
        k = np.clip(k, 0, n)
        chosen: Floats = log[n] - log[k] - log[np.asarray(n - k)]
        return chosen

    mass = choose(successes, hits) + choose(others, misses) - choose(population, draws)
    return np.where(possible, mass, -np.inf)


@lru_cache(maxsize=4)
def _log_factorials(largest: int) -> Floats:
    table: Floats = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])
    return table
