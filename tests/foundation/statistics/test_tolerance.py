"""Bounds from samples drawn without replacement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from efficient_empathy.foundation.statistics.tolerance import (
    at_most,
    fewest_draws,
    fewest_of,
    most_of,
    tolerated_errors,
)


@st.composite
def draws(draw: st.DrawFn) -> tuple[int, int, int, int]:
    population = draw(st.integers(1, 400))
    marked, drawn = draw(st.integers(0, population)), draw(st.integers(0, population))
    return draw(st.integers(-1, drawn + 1)), population, marked, drawn


@given(draws())
def test_the_distribution_is_the_hypergeometric_one(case: tuple[int, int, int, int]) -> None:
    k, population, marked, drawn = case
    assert at_most(k, population, marked, drawn) == pytest.approx(hypergeom.cdf(k, population, marked, drawn), abs=1e-9)


def test_it_holds_for_ten_million_too() -> None:
    assert at_most(950, 10_000_000, 500_000, 20_000) == pytest.approx(
        hypergeom.cdf(950, 10_000_000, 500_000, 20_000), rel=1e-6
    )


@pytest.mark.parametrize("wrong", [0.02, 0.06, 0.2, 0.9])
@pytest.mark.parametrize(("population", "drawn", "allowed"), [(400, 60, 20), (400, 200, 8), (1000, 100, 50)])
def test_the_rest_rarely_has_more_errors_than_promised(population: int, drawn: int, allowed: int, wrong: float) -> None:
    risk, rng = 0.1, np.random.default_rng(0)
    tolerated = tolerated_errors(population, drawn, allowed, risk)
    errors = rng.random(population) < wrong  # in order of doubt
    broken = 0
    for _ in range(2000):
        sample = np.zeros(population, bool)
        sample[rng.permutation(population)[:drawn]] = True
        found = np.flatnonzero(errors & sample)
        end = population if len(found) <= tolerated else found[tolerated] if tolerated >= 0 else 0
        broken += int((errors[:end] & ~sample[:end]).sum() > allowed)
    assert broken / 2000 <= risk + 3 * np.sqrt(risk * (1 - risk) / 2000)


def test_the_bound_is_tight_where_errors_abound() -> None:
    tolerated = tolerated_errors(5000, 600, 250, 0.05)
    assert at_most(tolerated, 5000, 250 + tolerated + 1, 600) <= 0.05
    assert at_most(tolerated + 1, 5000, 250 + tolerated + 2, 600) > 0.05


def test_too_small_a_sample_tolerates_nothing() -> None:
    fewest = fewest_draws(5734, 57, 0.05)
    assert tolerated_errors(5734, fewest - 1, 57, 0.05) == -1
    assert tolerated_errors(5734, fewest, 57, 0.05) == 0
    assert fewest_draws(50, 0, 0.05) == 48  # one error among 50 stays unseen with 2 in 50


def test_what_is_wholly_judged_tolerates_any_error() -> None:
    assert tolerated_errors(30, 30, 0, 0.05) == 30
    assert tolerated_errors(30, 10, 30, 0.05) == 10


@given(draws(), st.sampled_from([0.01, 0.05, 0.3]))
def test_the_bounds_on_a_count_exclude_only_what_is_unlikely(case: tuple[int, int, int, int], risk: float) -> None:
    k, population, marked, drawn = case
    found = min(max(k, 0), drawn)
    low, high = fewest_of(population, drawn, found, risk), most_of(population, drawn, found, risk)
    assert found <= low <= high <= population - (drawn - found)
    if low > found:
        assert 1 - hypergeom.cdf(found - 1, population, low - 1, drawn) <= risk + 1e-9
    if high < population - (drawn - found):
        assert hypergeom.cdf(found, population, high + 1, drawn) <= risk + 1e-9
    del marked
