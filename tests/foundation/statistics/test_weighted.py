"""Bounds on the weight of errors of two kinds."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.statistics.tolerance import most_of
from efficient_empathy.foundation.statistics.weighted import most_weight

WEIGHTS = [(1.0, 1.0), (0.95, 1.05), (0.5, 1.5)]


def chance(population: int, draws: int, errors: tuple[int, int], shown: tuple[float, float], seen: float) -> float:
    """P(the draw shows `seen` or less), by looking at every draw."""
    weights = [shown[0]] * errors[0] + [shown[1]] * errors[1] + [0.0] * (population - sum(errors))
    sums = [sum(weights[i] for i in draw) for draw in combinations(range(population), draws)]
    return sum(s <= seen + 1e-9 for s in sums) / comb(population, draws)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from(WEIGHTS), st.booleans(), st.sampled_from([0.02, 0.1, 0.3]),
    st.integers(0, 3), st.integers(0, 3),
)  # fmt: skip
def test_heavier_errors_show_as_little_as_rarely_as_the_risk(
    population: int, draws: int, shown: tuple[float, float], turned: bool, risk: float, light: int, heavy: int
) -> None:
    draws = min(draws, population)
    counted = (shown[1], shown[0]) if turned else shown
    seen = light * shown[0] + heavy * shown[1]
    bound = most_weight(population, draws, seen, shown=shown, counted=counted, risk=risk)
    for first in range(population + 1):
        for second in range(population + 1 - first):
            if counted[0] * first + counted[1] * second > bound:
                assert chance(population, draws, (first, second), shown, seen) <= risk + 1e-9


@pytest.mark.parametrize(("population", "draws", "hits"), [(5734, 600, 28), (5734, 600, 0), (40000, 2000, 150)])
def test_equal_weights_give_the_bound_on_a_number(population: int, draws: int, hits: int) -> None:
    bound = most_weight(population, draws, hits, shown=(1.0, 1.0), counted=(1.0, 1.0), risk=0.02)
    exact = most_of(population, draws, hits, 0.02)
    assert exact <= bound + 1e-9 < exact * 1.005 + 1


def test_unequal_weights_cost_little() -> None:
    alike = most_weight(5734, 600, 28, shown=(1.0, 1.0), counted=(1.0, 1.0), risk=0.02)
    unlike = most_weight(5734, 600, 28, shown=(0.95, 1.05), counted=(0.95, 1.05), risk=0.02)
    assert unlike == pytest.approx(alike, rel=0.03)


def test_large_populations_are_bounded_as_tightly() -> None:
    bound = most_weight(300_000, 3000, 200, shown=(0.95, 1.05), counted=(0.95, 1.05), risk=0.02)
    assert 1.1 < bound / 20_000 < 1.2


def test_everything_drawn_leaves_nothing_to_guess() -> None:
    assert most_weight(50, 50, 3.9, shown=(0.95, 1.05), counted=(0.95, 1.05), risk=0.05) == pytest.approx(4, abs=0.15)
    assert most_weight(50, 0, 0.0, shown=(0.95, 1.05), counted=(0.95, 1.05), risk=0.05) == pytest.approx(52.5)
    assert np.isfinite(most_weight(1, 1, 0.0, shown=(0.5, 1.5), counted=(0.5, 1.5), risk=0.05))
