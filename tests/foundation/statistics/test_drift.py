import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.drift import (
    PSI_ALARM,
    effective_size,
    expected_psi,
    jensen_shannon,
    lower_share,
    psi,
    psi_limit,
    shares,
    shift,
)

counts = st.lists(st.integers(0, 500), min_size=2, max_size=12)
EVEN = np.full(10, 1000.0)


def test_psi_is_the_formula_where_no_bin_is_empty() -> None:
    expected, actual = np.array([5e6, 3e6, 2e6]), np.array([2e6, 3e6, 5e6])
    assert psi(expected, actual) == pytest.approx(2 * 0.3 * np.log(5 / 2), rel=1e-5)


@given(counts, st.data())
def test_both_are_symmetric_and_zero_only_for_the_same_shares(expected, data) -> None:
    actual = data.draw(st.lists(st.integers(0, 500), min_size=len(expected), max_size=len(expected)))
    for measure in (psi, jensen_shannon):
        value = measure(expected, actual)
        assert np.isfinite(value)
        assert value >= -1e-12
        assert value == pytest.approx(measure(actual, expected), abs=1e-9)
        assert measure(expected, [3 * count for count in expected]) == pytest.approx(0, abs=1e-6)
    assert 0 <= jensen_shannon(expected, actual) <= 1


@given(counts, st.data())
def test_the_distance_is_scipys(expected, data) -> None:
    reference = pytest.importorskip("scipy.spatial.distance")
    actual = data.draw(st.lists(st.integers(0, 500), min_size=len(expected), max_size=len(expected)))
    if sum(expected) and sum(actual):
        theirs = reference.jensenshannon(expected, actual, base=2)
        assert jensen_shannon(expected, actual) == pytest.approx(theirs, abs=1e-6)


def test_disjoint_distributions_are_a_distance_of_one_apart_and_a_finite_psi() -> None:
    assert jensen_shannon([10, 0], [0, 10]) == 1
    assert 1 < psi([1000, 0], [0, 1000]) < 100


def test_smoothing_makes_up_no_shift() -> None:
    """Half a count in every bin would draw ten samples at 8 toward a flat shape."""
    peaked = [0, 0, 1, 10, 20, 40, 100, 800, 5000, 20, 0]
    few = [0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0]
    half = [(np.array(counts) + 0.5) / (np.sum(counts) + 5.5) for counts in (peaked, few)]
    assert psi(peaked, few) < ((half[1] - half[0]) * np.log(half[1] / half[0])).sum() / 3
    e, a = shares(peaked, few)
    assert len(e) == len(a) == 8
    assert e.sum() == pytest.approx(1)
    assert a.min() > 0


@pytest.mark.parametrize("n", [1, 3, 10, 30, 100, 1000, 5000])
@pytest.mark.parametrize("reference", [EVEN, np.array([1, 4, 60, 900, 1800, 1300, 900, 500, 200, 60, 9])])
def test_the_same_distribution_does_not_alarm_however_small_the_sample(n, reference) -> None:
    rng = np.random.default_rng(n)
    draws = rng.multinomial(n, reference / reference.sum(), 1000)
    levels = [shift(reference, draw).level for draw in draws]
    assert sum(level != "ok" for level in levels) <= 5


def test_psi_without_a_shift_is_as_large_as_it_is_expected_to_be() -> None:
    rng = np.random.default_rng(0)
    pairs = zip(
        rng.multinomial(800, EVEN / EVEN.sum(), 1500), rng.multinomial(500, EVEN / EVEN.sum(), 1500), strict=True
    )
    found = np.array([psi(one, other) for one, other in pairs])
    assert found.mean() == pytest.approx(expected_psi(10, 800, 500), rel=0.06)
    assert np.mean(found > psi_limit(10, 800, 500, 0.05)) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("freedom", [1, 2, 5, 11, 40])
def test_the_limit_is_the_quantile_of_chi_squared(freedom) -> None:
    stats = pytest.importorskip("scipy.stats")
    ours = psi_limit(freedom + 1, 1000, 1000, 0.001) / (2 / 1000)
    assert ours == pytest.approx(stats.chi2.isf(0.001, freedom), rel=0.04)


@pytest.mark.parametrize("n", [20, 100, 5000])
def test_a_large_shift_alarms_and_a_small_one_is_told_only_by_enough_samples(n) -> None:
    moved = np.array([0, 0, 0, 0, 0, 0, 0, 0.1, 0.3, 0.6]) * n
    found = shift(EVEN, moved)
    assert found.level == "alarm"
    assert found.psi > PSI_ALARM + found.noise
    tilted = EVEN * np.linspace(0.5, 1.5, 10) / EVEN.sum() * n
    assert shift(EVEN, tilted).level == ("watch" if n == 5000 else "ok")


def test_a_batch_of_one_conversation_is_one_observation() -> None:
    assert effective_size([1] * 7) == 7
    assert effective_size([50]) == 1
    assert effective_size([]) == 0
    moved = [0] * 9 + [50]
    assert shift(EVEN, moved).level == "alarm"
    assert shift(EVEN, moved, actual_size=effective_size([50])).level == "ok"


def test_nothing_to_compare_is_no_shift() -> None:
    assert shift(EVEN, np.zeros(10)).level == "ok"
    assert psi(EVEN, np.zeros(10)) == jensen_shannon(EVEN, np.zeros(10)) == 0
    assert shift([100, 0], [7, 0]).level == "ok"


def test_a_share_is_bounded_from_below() -> None:
    assert lower_share(0, 0) == lower_share(0, 50) == 0
    assert lower_share(1, 1) < 0.1
    assert 0.25 < lower_share(370, 1000) < 0.37
    assert lower_share(500, 1000, 0.05) == pytest.approx(0.474, abs=1e-3)


@pytest.mark.parametrize(("expected", "actual"), [([1, 2], [1, 2, 3]), ([1, -1], [1, 1]), ([1, np.nan], [1, 1])])
def test_counts_that_are_none_are_refused(expected, actual) -> None:
    with pytest.raises(UserError):
        psi(expected, actual)
