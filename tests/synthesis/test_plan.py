from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.synthesis.dimensions import read_targets
from efficient_empathy.synthesis.plan import fill_up, plan_cells
from efficient_empathy.synthesis.settings import SynthesisSettings


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


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.05, 5)), min_size=1, max_size=10), st.integers(0, 300))
def test_with_shares_the_lowest_in_relation_to_theirs_rise_together(cells, total):
    counts, shares = [count for count, _ in cells], [share for _, share in cells]
    added = fill_up(counts, total, shares)
    assert sum(added) == total
    assert min(added) >= 0
    for more, count, share in zip(added, counts, shares, strict=True):
        if more:  # nothing that has risen was further along than what has not, by more than one sample
            assert all(
                (count + more - 1) / share <= (other + extra + 1) / width + 1e-6
                for extra, other, width in zip(added, counts, shares, strict=True)
            )


def test_a_share_of_nought_takes_none():
    assert fill_up([0, 3], 4, [0, 1]) == [0, 4]


def cells(targets, wanted=6, counts=None):
    counts = counts or {("sad", "sensibility"): 4, ("glad", "sensibility"): 1, ("glad", "rationality"): 2}
    return {
        cell.key: cell
        for cell in plan_cells(
            {"category": ["glad", "sad"]}, ["sensibility", "rationality"], counts, read_targets(targets), wanted
        )
    }


def test_a_target_is_the_share_of_all_that_a_value_is_to_have():
    even = cells([])
    assert {key: cell.wanted for key, cell in even.items()} == {
        ("glad", "sensibility"): 2, ("glad", "rationality"): 1, ("sad", "sensibility"): 0, ("sad", "rationality"): 3,
    }  # fmt: skip
    many = cells(["subset=rationality:0.75", "category=glad:25%"], wanted=93)
    total = 100
    assert many["sad", "rationality"].share == pytest.approx(0.5625)
    for key, cell in many.items():
        assert abs(cell.real + cell.wanted - total * cell.share) < 1, key
    assert cells(["subset=sensibility:0"])["glad", "sensibility"].wanted == 0


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["subset=reason:0.5"], "there is no such subset, but sensibility, rationality"),
        (["subset=rationality:0.5", "subset=sensibility:0.4"], "come to 0.9: they are shares of 1"),
        (["category=sad:0.8", "category=glad:0.8"], "come to 1.6"),
        (["turn=under 3:0.5"], "--target turn=…: the plan has category, subset; name it by --by as well"),
    ],
)
def test_targets_that_cannot_be_are_refused(targets, message):
    with pytest.raises(UserError, match=re.escape(message)):
        cells(targets)


@pytest.mark.parametrize("text", ["rationality:0.5", "subset=a", "subset=a:1.5", "subset=a:x", "=a:0.5", "subset=:1"])
def test_a_target_that_is_not_written_as_one_is_refused(text):
    with pytest.raises(ValidationError, match="NAME=VALUE:SHARE"):
        SynthesisSettings(targets=(text,))
