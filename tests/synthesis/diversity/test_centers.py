from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.synthesis.diversity import centers, facility_location, k_center
from plain_diversity import on_grid, plain_k_center, unit_rows

BLOCKS = {"_ROWS": 4, "_PICKS": 3, "_PAIRS": 2, "_MOST_PAIRS": 1}
"""So small that a dozen rows go through every way of the search."""


@pytest.fixture(params=[None, BLOCKS], ids=["whole", "small blocks"])
def _blocks(request, monkeypatch) -> None:
    for name, size in (request.param or {}).items():
        monkeypatch.setattr(centers, name, size)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("seed", range(12))
def test_the_picks_are_those_of_the_plain_loop(seed) -> None:
    """Few directions, so that rows are equal and equally far again and again."""
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.integers(-2, 3, (int(rng.integers(2, 60)), int(rng.integers(1, 5)))))
    size = int(rng.integers(1, len(rows) + 1))
    ties = rng.integers(0, 5, len(rows)).astype(np.uint64)
    centers = unit_rows(rng.integers(-2, 3, (3, rows.shape[1]))) if seed % 2 else None
    result = k_center(rows, size, ties, centers)
    order, distances, radius = plain_k_center(rows, size, ties, centers)
    assert result.order.tolist() == order
    assert result.distances.tolist() == pytest.approx(distances)
    assert result.radius == pytest.approx(radius)


def test_a_longer_search_agrees_with_the_plain_loop_whatever_is_kept() -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.normal(size=(3000, 24)) + 3 * rng.normal(size=(20, 24))[rng.integers(0, 20, 3000)])
    ties = rng.integers(0, 2**63, 3000).astype(np.uint64)
    order, _, radius = plain_k_center(rows, 2700, ties, None)
    result = k_center(rows, 2700, ties)
    assert result.order.tolist() == order
    assert result.radius == pytest.approx(radius)
    assert k_center(rows, 30, ties).order.tolist() == order[:30]


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 10**6))
def test_the_radius_is_at_most_twice_the_least_possible(count, width, seed) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(count, width)))
    grid = on_grid(rows)
    apart = np.sqrt(((grid[:, None] - grid[None]) ** 2).sum(2)) / 2**24
    for size in range(1, count + 1):
        least = min(apart[:, list(some)].min(1).max() for some in combinations(range(count), size))
        assert k_center(rows, size).radius <= 2 * least + 1e-9


def test_rows_in_another_order_give_the_same_rows() -> None:
    rng = np.random.default_rng(3)
    rows = unit_rows(rng.integers(-1, 2, (80, 3)))
    ties = rng.permutation(80).astype(np.uint64)
    shuffled = rng.permutation(80)
    order = k_center(rows, 20, ties).order
    assert shuffled[k_center(rows[shuffled], 20, ties[shuffled]).order].tolist() == order.tolist()


def test_what_is_far_from_the_centres_comes_first() -> None:
    rows = unit_rows(np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0.5, 0.5]]))
    result = k_center(rows, 2, centers=rows[:1])
    assert result.order.tolist() == [2, 3]
    assert result.distances[0] == pytest.approx(np.sqrt(2), abs=1e-3)
    assert k_center(rows, 1, centers=np.zeros((0, 3), np.float32)).distances.tolist() == [np.inf]


def test_duplicates_come_last_at_no_distance() -> None:
    rows = unit_rows(np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]]))
    result = k_center(rows, 5)
    assert result.order.tolist() == [0, 2, 1, 3, 4]
    assert result.distances.tolist() == pytest.approx([np.inf, np.sqrt(2), 0, 0, 0], abs=1e-3)
    assert (result.radius, k_center(rows, 2).radius) == (0, 0)


def test_one_row_is_its_own_centre() -> None:
    result = k_center(unit_rows(np.ones((1, 4))), 1)
    assert (result.order.tolist(), result.radius) == ([0], 0)


@pytest.mark.parametrize("pick", [k_center, facility_location])
@pytest.mark.parametrize(
    ("rows", "size", "said"),
    [
        (np.eye(3), 0, "cannot pick 0 of 3 rows: a size is from 1 to 3"),
        (np.eye(3), 4, "cannot pick 4 of 3 rows"),
        (np.zeros((0, 3)), 1, "cannot pick 1 of 0 rows"),
        (np.eye(3)[0], 1, r"have the shape \(3,\)"),
        (np.zeros((3, 0)), 1, r"have the shape \(3, 0\)"),
        (np.array([[1, 0], [np.nan, 1]]), 1, "row 1 has a number that is not finite"),
        (np.array([[1, 0], [np.inf, 1]]), 1, "row 1 has a number that is not finite"),
        (np.array([[2, 0], [0, 1], [0, 0]]), 1, "2 do not have length 1: row 0 has the length 2"),
    ],
)
def test_what_cannot_be_picked_from_is_named(pick, rows, size, said) -> None:
    with pytest.raises(UserError, match=said):
        pick(rows.astype(np.float32), size)


@pytest.mark.parametrize("pick", [k_center, facility_location])
def test_ties_and_centres_must_fit_the_rows(pick) -> None:
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(UserError, match="3 rows and 2 ties"):
        pick(rows, 1, np.zeros(2, np.uint64))
    with pytest.raises(UserError, match="3 columns and centres 2"):
        pick(rows, 1, None, np.eye(2, dtype=np.float32))
    with pytest.raises(UserError, match="of centres, 1 do not have length 1"):
        pick(rows, 1, None, np.zeros((1, 3), np.float32))
