from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.figures import scale


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 120, [0, 50, 100]),
        (2.7, 4.2, [3.0, 3.5, 4.0]),
        (0.4, 0.6, [0.4, 0.45, 0.5, 0.55, 0.6]),
        (3.19, 3.21, [3.19, 3.195, 3.2, 3.205, 3.21]),
    ],
)
def test_ticks_are_round_and_within(low: float, high: float, ticks: list[float]) -> None:
    assert scale.round_numbers(low, high, 4) == pytest.approx(ticks)


def test_ticks_have_the_decimals_that_tell_them_apart() -> None:
    assert [scale.decimals(t) for t in ([3.0, 3.5], [0.0, 50.0], [3.19, 3.195], [3.0])] == [1, 0, 3, 0]


def test_an_extent_is_never_empty() -> None:
    assert scale.extent([]) == pytest.approx((-0.05, 1.05))
    low, high = scale.extent([3.0, float("nan"), None, 3.0])
    assert low < 3.0 < high


@given(st.lists(st.floats(0, 100), max_size=8))
def test_labels_keep_apart_within_their_place_and_in_order(places: list[float]) -> None:
    moved = scale.apart(places, 12, 0, 100)
    order = sorted(range(len(places)), key=places.__getitem__)
    ends = [moved[i] for i in order]
    assert all(b - a >= 12 - 1e-6 for a, b in pairwise(ends))
    assert all(-1e-6 <= y <= 100 + 1e-6 for y in moved)


def test_labels_that_are_apart_stay() -> None:
    assert scale.apart([10, 50, 30], 12, 0, 100) == [10, 50, 30]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1e12, 1e16], [1e12, 1e13, 1e14, 1e15, 1e16]),
        ([2.5e12, 9e12], [2e12, 5e12, 1e13]),
        ([1e3, 1e20], [1e3, 1e7, 1e11, 1e15, 1e19]),
        ([7.0], [5, 10]),
    ],
)
def test_logarithmic_ticks_are_round(values: list[float], ticks: list[float]) -> None:
    low, high = scale.log_extent(values)
    assert scale.LogScale(low, high, 0, 100).ticks(5) == pytest.approx(ticks)


@given(st.lists(st.floats(1e-3, 1e21), min_size=1, max_size=9))
def test_a_logarithmic_scale_keeps_order_and_never_ends_in_one_point(values: list[float]) -> None:
    low, high = scale.log_extent(values)
    across = scale.LogScale(low, high, 10, 90)
    places = [across(v) for v in sorted(values)]
    assert places == sorted(places)
    assert all(10 <= place <= 90 for place in places)
    assert across.ticks(4)


def test_places_that_coincide_spread_around_where_they_are() -> None:
    assert scale.side_by_side([50.0, 80.0, 50.0, 50.0], 6) == [44.0, 80.0, 50.0, 56.0]
