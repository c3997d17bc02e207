"""How many errors a random sample may show if the rest is to have few: exact, for draws without replacement.

The sample is drawn at random from a finite population, so what it shows is hypergeometric; no approximation and no
assumption on the data is needed.
"""

from __future__ import annotations

import math


def tolerated_errors(population: int, draws: int, limit: int, risk: float) -> int:
    """The largest c such that c errors or fewer among `draws` prove the rest to have `limit` or fewer; else -1.

    Meant for a nested family of rules (accept what is at most so uncertain), of which the loosest is taken whose errors
    in the sample are c or fewer. That rule leaves more than `limit` errors outside of the sample with a probability of
    at most `risk`. Proof: let the errors be sorted by uncertainty. The rule ends before the (c + 1)-th error that was
    drawn, so more than `limit` are left only if c or fewer of the first limit + c + 1 errors were drawn, P = H(c; limit
    + c + 1). Where there are fewer errors in all, limit + j + 1 with j < c, the same holds with j. So the condition is
    H(j; limit + j + 1) ≤ risk for every j ≤ c.
    This is the bound of probably approximately correct labelling (Candès, Ilyas and Zrnic 2025, arXiv:2506.10908) made
    exact for a loss of 0 or 1 and for a sample whose errors are put right.
    """
    errors = -1
    while errors + 1 <= draws and limit + errors + 2 <= population:
        if at_most(errors + 1, population, limit + errors + 2, draws) > risk:
            return errors
        errors += 1
    return draws if limit + errors + 2 > population else errors


def fewest_draws(population: int, limit: int, risk: float) -> int:
    """The smallest sample that can prove anything: one without a single error tolerates none, `tolerated_errors` ≥ 0.

    The whole population where nothing less will do.
    """
    low, high = 0, population
    while low < high:
        middle = (low + high) // 2
        if at_most(0, population, min(population, limit + 1), middle) <= risk:
            high = middle
        else:
            low = middle + 1
    return low


def fewest_of(population: int, draws: int, hits: int, risk: float) -> int:
    """A lower confidence bound, at 1 - `risk`, on how many of the population are what `hits` of the `draws` are.

    The smallest M with P(H ≥ hits; M) > risk (Clopper and Pearson 1934, for draws without replacement).
    """
    low, high = hits, population - (draws - hits)
    while low < high:
        middle = (low + high) // 2
        if 1 - at_most(hits - 1, population, middle, draws) > risk:
            high = middle
        else:
            low = middle + 1
    return low


def most_of(population: int, draws: int, hits: int, risk: float) -> int:
    """The upper confidence bound that belongs to `fewest_of`."""
    return population - fewest_of(population, draws, draws - hits, risk)


def at_most(k: int, population: int, successes: int, draws: int) -> float:
    """P(H ≤ k): at most k of the `successes` in a population come up in `draws` without replacement."""
    lowest, highest = max(0, draws - (population - successes)), min(successes, draws)
    if k < lowest:
        return 0.0
    if k >= highest:
        return 1.0
    if k - lowest > highest - k:  # the shorter tail is the faster and the more exact one
        return max(0.0, 1.0 - _sum(k + 1, highest, population, successes, draws))
    return min(1.0, _sum(lowest, k, population, successes, draws))


def _sum(first: int, last: int, population: int, successes: int, draws: int) -> float:
    """The masses from `first` to `last`, each from the one before."""
    rest = population - successes - draws
    logarithm = _choose(successes, first) + _choose(population - successes, draws - first) - _choose(population, draws)
    scaled, total, largest = 1.0, 1.0, logarithm
    for i in range(first, last):
        scaled *= (successes - i) * (draws - i) / ((i + 1) * (rest + i + 1))
        total += scaled
        if total > 1e250:
            scaled, total, largest = scaled / total, 1.0, largest + math.log(total)
    return math.exp(min(0.0, largest + math.log(total)))


def _choose(n: int, k: int) -> float:
    """The logarithm of n over k."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
