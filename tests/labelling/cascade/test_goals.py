"""What counts as wrong, and how much of it may be left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.labelling.cascade.goals import ErrorGoal, F1Goal, Known, f1_score


def test_an_error_goal_allows_a_share_of_all_samples() -> None:
    assert ErrorGoal(0.05).allowed(Known(5734, 4000, 500, 300, 200), 0.05) == (286, 0.05)
    assert ErrorGoal(0.29).allowed(Known(100, 100, 10, 5, 0), 0.05)[0] == 29  # 0.29 × 100 is 28.999… in floats


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(1, 400), st.integers(0, 400), st.sampled_from([0.8, 0.9, 0.95])
)
def test_what_an_f1_goal_allows_keeps_the_f1(missed: int, added: int, members: int, others: int, f1: float) -> None:
    missed, added = min(missed, members), min(added, others)
    truth = np.array([0] * members + [1] * others)
    labels = truth.copy()
    labels[:missed] = 1
    labels[members : members + added] = 0
    n = len(truth)
    goal = F1Goal(f1, 0, "sensibility")
    allowed, _ = goal.allowed(Known(n, n, n, members, 0), 0.05)  # all drawn: the number of members is known
    if goal.wrong(labels, truth).sum() <= allowed:
        assert f1_score(labels, truth, 0) >= f1 - 1e-12


def test_fewer_members_drawn_allow_fewer_errors_and_spend_a_part_of_the_risk() -> None:
    goal = F1Goal(0.95, 0, "sensibility")
    many, left = goal.allowed(Known(5000, 5000, 500, 300, 0), 0.05)
    few, _ = goal.allowed(Known(5000, 5000, 500, 100, 0), 0.05)
    assert few < many < int(0.1 / 1.05 * 3000)
    assert left == pytest.approx(0.04)


def test_doubt_is_what_the_judge_itself_believes() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]], np.float32)
    assert ErrorGoal(0.1).doubt(p) == pytest.approx([0.3, 0.6])
    assert F1Goal(0.9, 0, "sensibility").doubt(p) == pytest.approx([0.3, 0.3])
    assert F1Goal(0.9, 0, "sensibility").wrong(np.array([1, 0]), np.array([2, 1])).tolist() == [False, True]


def test_f1_of_a_subset_that_nobody_is_in_is_whole() -> None:
    assert f1_score(np.array([1, 1]), np.array([1, 2]), 0) == 1.0
    assert f1_score(np.array([0, 1]), np.array([1, 0]), 0) == 0.0
