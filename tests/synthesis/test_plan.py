from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.synthesis.plan import fill_up


def test_the_lowest_rise_together_as_water_does():
    assert fill_up([10, 2, 4], 5) == [0, 4, 1]
    assert fill_up([10, 2, 4], 2) == [0, 2, 0]
    assert fill_up([5, 5], 3) == [2, 1]
    assert fill_up([0, 0, 9], 100) == [37, 36, 27]
    assert fill_up([], 4) == []


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(0, 300))
def test_no_other_way_to_add_as_many_leaves_the_lowest_higher(counts, total):
    added = fill_up(counts, total)
    assert sum(added) == total
    assert min(added) >= 0
    levels = [count + more for count, more in zip(counts, added, strict=True)]
    risen = [level for level, more in zip(levels, added, strict=True) if more]
    if risen:  # whatever has risen is level with the lowest of all
        assert max(risen) - min(levels) <= 1
