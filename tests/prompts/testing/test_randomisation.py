import numpy as np
import pytest

from efficient_empathy.prompts.testing.randomisation import DRAWS, MOST_SPLITS, regrouped, splits, swapped


def test_signs_are_drawn_for_whole_clusters() -> None:
    (null,) = swapped(np.array([[1.0, 2.0, 4.0, np.nan]]), ["a", "a", "b", "c"], 0)
    assert len(null) == DRAWS
    assert set(np.unique(null)) == {-7.0, -1.0, 1.0, 7.0}
    assert np.mean(null == 7.0) == pytest.approx(0.25, abs=0.01)


def test_every_way_to_deal_readings_is_there_once() -> None:
    dealt = splits(2, 2, 0)
    assert len({tuple(first) for first, _ in dealt}) == len(dealt) == 6
    assert all(sorted(first + second) == [0, 1, 2, 3] for first, second in dealt)
    assert len(splits(12, 12, 0)) == MOST_SPLITS


def test_sums_over_items_of_one_row_each() -> None:
    null = regrouped([np.array([[0.0], [1.0]]), np.array([[10.0], [10.0]])], 0)
    assert set(np.unique(null)) == {10.0, 11.0}
    assert regrouped([], 0).shape == (1, DRAWS)
