"""How many errors a random sample may show if the rest is to have few: exact, for draws without replacement.

The sample is drawn at random from a finite population, so what it shows is hypergeometric; no approximation and no
assumption on the data is needed.
"""

from __future__ import annotations

import math


def tolerated_errors(population: int, drawn: int, allowed: int, risk: float) -> int:
    """The largest c such that c errors or fewer among `drawn` prove the rest to have `allowed` or fewer; else -1.

    Meant for a nested family of rules (accept what is at most so uncertain), of which the loosest is taken whose errors
    in the sample are c or fewer. Of the rule that is taken, more than `allowed` errors are left outside of the sample
    with a probability of at most `risk`. Proof: let the errors be sorted by uncertainty. The rule ends before the
    (c + 1)-th error that was drawn, so more than `allowed` are left only if of the first allowed + c + 1 errors c or
    fewer were drawn, P = H(c; allowed + c + 1). Where there are fewer errors in all, allowed + j + 1 with j < c, the
    same holds with j. So H(j; allowed + j + 1) ≤ risk for every j ≤ c is what is asked for.
    This is the bound of probably approximately correct labelling (Candès, Ilyas and Zrnic 2025, arXiv:2506.10908) made
    exact for a loss of 0 or 1 and for a sample whose errors are put right.
    """
    found = -1
    while found + 1 <= drawn and allowed + found + 2 <= population:
        if at_most(found + 1, population, allowed + found + 2, drawn) > risk:
            return found
        found += 1
    return drawn if allowed + found + 2 > population else found


def fewest_draws(population: int, allowed: int, risk: float) -> int:
    """The smallest sample that can prove anything: one without a single error tolerates none, `tolerated_errors` ≥ 0.

    The whole population where nothing less will do.
    """
    low, high = 0, population
    while low < high:
        middle = (low + high) // 2
        if at_most(0, population, min(population, allowed + 1), middle) <= risk:
            high = middle
        else:
            low = middle + 1
    return low


def fewest_of(population: int, drawn: int, found: int, risk: float) -> int:
    """A lower confidence bound, at 1 - `risk`, on how many of the population are what `found` of the `drawn` are.

    The smallest M with P(H ≥ found; M) > risk (Clopper and Pearson 1934, for draws without replacement).
    """
    low, high = found, population - (drawn - found)
    while low < high:
        middle = (low + high) // 2
        if 1 - at_most(found - 1, population, middle, drawn) > risk:
            high = middle
        else:
            low = middle + 1
    return low


def most_of(population: int, drawn: int, found: int, risk: float) -> int:
    """The upper confidence bound that belongs to `fewest_of`."""
    return population - fewest_of(population, drawn, drawn - found, risk)


def at_most(k: int, population: int, marked: int, drawn: int) -> float:
    """P(H ≤ k): at most k of `marked` among `drawn`, drawn without replacement from `population`."""
    lowest, highest = max(0, drawn - (population - marked)), min(marked, drawn)
    if k < lowest:
        return 0.0
    if k >= highest:
        return 1.0
    if k - lowest > highest - k:  # the shorter tail is the faster and the more exact one
        return max(0.0, 1.0 - _sum(k + 1, highest, population, marked, drawn))
    return min(1.0, _sum(lowest, k, population, marked, drawn))


def _sum(first: int, last: int, population: int, marked: int, drawn: int) -> float:
    """The masses from `first` to `last`, each from the one before."""
    rest = population - marked - drawn
    logarithm = _choose(marked, first) + _choose(population - marked, drawn - first) - _choose(population, drawn)
    scaled, total, largest = 1.0, 1.0, logarithm
    for i in range(first, last):
        scaled *= (marked - i) * (drawn - i) / ((i + 1) * (rest + i + 1))
        total += scaled
        if total > 1e250:
            scaled, total, largest = scaled / total, 1.0, largest + math.log(total)
    return math.exp(min(0.0, largest + math.log(total)))


def _choose(n: int, k: int) -> float:
    """The logarithm of n over k."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
