from __future__ import annotations

import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies import RulePolicy, load_policy, policy_of_definition, policy_words
from paper_rules import subset_of


def policy(**changes):
    return policy_of_definition({"name": "mine", "rules": [{"warm": "warmth > 3"}], **changes})


def test_subsets_stand_in_the_order_of_the_rules_and_what_is_left_out_last() -> None:
    rules = [{"rest": "turn > 9"}, {"b": "warmth > 3"}, {"a": "warmth > 2"}, {"b": "warmth > 1"}]
    assert policy(rules=rules, otherwise="rest").subsets == ("b", "a", "rest")
    assert policy(rules=rules, otherwise="rest", subsets=["rest", "a", "b"]).subsets == ("rest", "a", "b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [{"warm": "warmth > 3", "calm": "warmth > 2"}]}, "a rule is one pair, SUBSET: CONDITION"),
        ({"rules": [{"warm": 3}]}, "the condition of warm is 3: write it as text"),
        ({"rules": [{True: "warmth > 3"}]}, "a subset is called True: its name must be text"),
        ({"rules": [{"../up": "warmth > 3"}]}, "letters, digits, _ and - only"),
        ({"rules": [{"union": "warmth > 3"}]}, "union, which stands for something else"),
        ({"otherwise": "Unscored"}, "Unscored, which stands for something else"),
        ({"otherwise": "Warm"}, "differ in capitals alone"),
        ({"subsets": ["warm"]}, "list each that the rules name once, warm, discard"),
        ({"thresholds": {"idle": 3}}, "the threshold idle stands in no condition"),
        ({"thresholds": {"least": True}}, "it is True and must be a number"),
        ({"thresholds": {"least": float("nan")}}, "it is nan and must be a number from"),
        ({"thresholds": {"turn": 3}}, "turn, but that is a fact"),
        ({"thresholds": {"and": 3}}, "must be a word"),
        ({"treshold": 3}, "treshold"),
    ],
)
def test_mistakes_in_a_definition(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        policy(**changes)


def test_thresholds_are_changed_by_name() -> None:
    paper = load_policy("paper")
    assert paper.with_thresholds(alpha=6.5).thresholds == {"alpha": 6.5, "beta": 5}
    assert paper.thresholds == {"alpha": 5, "beta": 5}
    with pytest.raises(UserError, match="paper has no threshold alfa: it has alpha, beta; did you mean alpha"):
        paper.with_thresholds(alfa=3)
    for value in (True, float("inf"), float("nan"), "5", None):
        with pytest.raises(UserError, match="the threshold beta of the policy paper cannot be set"):
            paper.with_thresholds(beta=value)


def test_a_threshold_may_not_be_called_like_an_axis(empathy) -> None:
    mine = policy(thresholds={"rationality": 3}, rules=[{"warm": "sensibility > rationality"}])
    with pytest.raises(UserError, match="a threshold is called rationality, which is an axis"):
        mine.bind(empathy)


def test_what_a_threshold_is_compared_with_gives_its_range(care) -> None:
    mine = policy(
        thresholds={"least": 3, "short": 5},
        rules=[{"warm": "sensibility > least and not safety <= least"}, {"rest": "response_words < short"}],
    )
    assert mine.threshold_axes == {"least": ("sensibility", "safety"), "short": ()}
    assert (mine.threshold_range("least", care), mine.threshold_range("short", care)) == ((0, 6), None)


def test_a_threshold_is_on_the_scale_of_its_axes(care) -> None:
    mine = policy(
        thresholds={"least": 3, "short": 5},
        rules=[{"warm": "sensibility > least and not safety <= least"}, {"rest": "response_words < short"}],
    )
    for value in (0, 1, 5, 6):
        assert mine.with_thresholds(least=value, short=99).bind(care).policy.thresholds["least"] == value
    for value in (-1, 6.5, 99):
        with pytest.raises(UserError) as error:
            mine.with_thresholds(least=value).bind(care)
        assert str(error.value) == (
            f"the threshold least of the policy mine is {value}, which is not on the scale of sensibility (scores from "
            "1 to 5) and safety (scores from 1 to 5): give a number from 0 to 6"
        )


@pytest.mark.parametrize("name", ["paper", "exclusive", "both"])
def test_the_map_of_two_axes_is_that_of_the_rules(name, empathy) -> None:
    mine = load_policy(name, {"alpha": 4, "beta": 6.5})
    cells = mine.bind(empathy).cells("sensibility", "rationality", {})
    expected = [[subset_of(name, s, r, 4, 6.5) for r in range(11)] for s in range(11)]
    assert np.array(mine.subsets)[cells].tolist() == expected
    assert (mine.bind(empathy).cells("rationality", "sensibility", {}) == cells.T).all()


def test_a_map_holds_the_other_axes_and_the_facts_where_they_are_set(care) -> None:
    mine = policy(rules=[{"rest": "turn > 3"}, {"warm": "sensibility > 3 and safety > 2"}])
    bound = mine.bind(care)
    names = np.array(mine.subsets)[bound.cells("sensibility", "rationality", {"safety": 3, "turn > 3": False})]
    assert (names[3:] == "warm").all()
    assert (names[:3] == "discard").all()
    names = np.array(mine.subsets)[bound.cells("sensibility", "rationality", {"safety": 3, "turn > 3": True})]
    assert (names == "rest").all()
    with pytest.raises(UserError, match="needs a value for safety"):
        bound.cells("sensibility", "rationality", {"turn > 3": False})
    with pytest.raises(UserError, match="there is no axis warmth"):
        bound.cells("warmth", "rationality", {})


def test_the_rules_in_words() -> None:
    assert policy_words(load_policy("paper")) == [
        "rationality above β = 5 → rationality",
        "sensibility above α = 5 and rationality below β = 5 → sensibility",
        "otherwise → discard",
    ]
    mine = policy(rules=[{"warm": "(3 <= warmth or turn != 2) and category not in [sad, joy] and not split == test"}])
    assert policy_words(mine)[0] == (
        "(warmth at least 3 or turn of the response other than 2) and category neither sad nor joy "
        "and not (split test) → warm"
    )


def test_a_definition_is_read_back() -> None:
    mine = policy(
        thresholds={"least": 2.5}, rules=[{"warm": "warmth > least"}, {"rest": "turn > 2"}], otherwise="rest",
        description="Warm ones.",
    )  # fmt: skip
    assert policy_of_definition(mine.definition()) == mine
    assert isinstance(mine, RulePolicy)
