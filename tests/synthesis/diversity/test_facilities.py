from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.synthesis.diversity import facilities, facility_location
from plain_diversity import plain_facility_location, unit_rows

BLOCKS = {"_CHANGED": 3, "_ROWS": 4}


@pytest.fixture(params=[None, BLOCKS], ids=["whole", "small blocks"])
def _blocks(request, monkeypatch) -> None:
    for name, size in (request.param or {}).items():
        monkeypatch.setattr(facilities, name, size)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("seed", range(12))
def test_the_picks_are_those_of_plain_greedy(seed) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.integers(-2, 3, (int(rng.integers(2, 40)), int(rng.integers(1, 5)))))
    size = int(rng.integers(1, len(rows) + 1))
    ties = rng.integers(0, 5, len(rows)).astype(np.uint64)
    centers = unit_rows(rng.integers(-2, 3, (3, rows.shape[1]))) if seed % 2 else None
    result = facility_location(rows, size, ties, centers)
    order, values = plain_facility_location(rows, size, ties, centers)
    assert result.order.tolist() == order
    assert result.values.tolist() == pytest.approx(values)


@settings(max_examples=40)
@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 10**6))
def test_the_value_is_above_the_bound_of_the_best_possible(count, width, seed) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(count, width)))
    grid = rows.astype(np.float64)
    similarity = (1 + grid @ grid.T) / 2
    values = facility_location(rows, count).values
    for size in range(1, count + 1):
        best = max(similarity[:, list(some)].max(1).mean() for some in combinations(range(count), size))
        assert values[size - 1] >= (1 - 1 / np.e) * best - 1e-3


def test_the_first_picks_stand_for_the_clusters() -> None:
    rng = np.random.default_rng(1)
    middle = np.eye(4)[np.repeat(np.arange(4), [40, 30, 20, 10])]
    rows = unit_rows(middle + 0.1 * rng.normal(size=(100, 4)))
    picks = facility_location(rows, 4).order
    assert middle[picks].argmax(1).tolist() == [0, 1, 2, 3]
    with_centers = facility_location(rows, 2, centers=np.eye(4, dtype=np.float32)[:2]).order
    assert middle[with_centers].argmax(1).tolist() == [2, 3]


def test_opposite_rows_are_each_their_own() -> None:
    rows = unit_rows(np.array([[1.0, 0], [-1, 0], [1, 0]]))
    result = facility_location(rows, 3)
    assert result.order.tolist() == [0, 1, 2]
    assert result.values.tolist() == pytest.approx([2 / 3, 1, 1])
