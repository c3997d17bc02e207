from __future__ import annotations

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policy import POLICIES, flips, make_policy


def test_every_policy_says_what_it_depends_on():
    assert make_policy("paper", 4, 6.5, seed=3).parameters() == {
        "policy": "paper",
        "alpha": 4,
        "beta": 6.5,
        "seed": 3,
        "decide": "auto",
    }
    assert make_policy("top", top=0.3).parameters()["policy"] == "top"
    assert set(POLICIES) == {"paper", "exclusive", "both", "top"}


def test_an_unknown_policy_is_told_the_known_ones():
    with pytest.raises(UserError, match="'best': choose one of paper, exclusive, both, top"):
        make_policy("best")


def test_an_option_of_another_policy():
    with pytest.raises(UserError, match="paper has no option top: it takes decide"):
        make_policy("paper", top=3)
    with pytest.raises(UserError, match="top has no option decide"):
        make_policy("top", top=3, decide="probabilities")


@pytest.mark.parametrize("value", [float("nan"), -1.1, 11.5, float("inf"), "5", None])
@pytest.mark.parametrize("threshold", ["alpha", "beta"])
def test_thresholds_outside_the_scale(threshold, value):
    with pytest.raises(UserError, match=f"{threshold} is {value}: it must be a number from -1 to 11"):
        make_policy("both", **{threshold: value})


def test_decide_is_one_of_three():
    with pytest.raises(UserError, match="auto, scores, probabilities"):
        make_policy("paper", decide="dice")


def test_flips_count_what_one_step_moves(scores):
    frame = scores([(6, 2), (6, 2), (5, 2), (8, 5), (8, 6), (None, None)], state=["ok"] * 5 + ["refused"])
    assert flips(make_policy("paper"), frame) == {"alpha-1": 1, "alpha+1": 2, "beta-1": 1, "beta+1": 2}


def test_flips_stay_within_the_scale(scores):
    assert flips(make_policy("paper", alpha=11, beta=-1), scores([(8, 2)]))["alpha+1"] == 0


def test_flips_by_probability_and_without_thresholds(distributed):
    moved = flips(make_policy("paper"), distributed(500))
    assert list(moved) == ["alpha-1", "alpha+1", "beta-1", "beta+1"]
    assert moved["beta-1"] > 0
    assert flips(make_policy("top", top=3), distributed(50)) == {}
