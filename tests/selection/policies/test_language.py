from __future__ import annotations

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies import RulePolicy, policy_of_definition
from efficient_empathy.selection.policies.conditions import (
    And,
    AxisScore,
    Comparison,
    Membership,
    Number,
    SampleFact,
    Text,
)
from efficient_empathy.selection.policies.language import ConditionError, parse_condition

WARMTH = AxisScore("warmth")


def test_a_chain_is_its_comparisons_with_the_column_first() -> None:
    low, high = Comparison(WARMTH, ">=", Number(3)), Comparison(WARMTH, "<=", Number(6, "most"))
    assert parse_condition("3 <= warmth <= most", {"most": 6}) == And((low, high))


def test_words_against_a_fact_are_text_quoted_or_not() -> None:
    sad, very = Text("sad"), Text("very sad")
    assert parse_condition("category in [sad, 'very sad']", {}) == Membership(SampleFact("category"), (sad, very))
    assert parse_condition("sad == category", {}) == Comparison(SampleFact("category"), "==", sad)


def test_a_condition_may_run_over_lines() -> None:
    assert parse_condition("warmth > 3\n  and warmth < -1.5\n", {}) == And(
        (Comparison(WARMTH, ">", Number(3)), Comparison(WARMTH, "<", Number(-1.5)))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warmth = 5", "= stands there: write =="),
        ("warmth > 5 & warmth < 7", "& stands there: write and"),
        ("warmth > 5 AND warmth < 7", "AND stands there: write and"),
        ("warmth => 5", "=> stands there: write >="),
        ("warmth ≥ 5", "≥ stands there: write >="),
        ("warmth is 5", "is stands there: write == or !="),
        ("warmth", "warmth stands there: a comparison"),
        ("", "nothing stands there"),
        ("(warmth > 5", "a bracket or a quotation mark is opened and never closed"),
        ("warmth >", "it is not whole"),
        ("5 < 6", "one of the two must be an axis or a fact"),
        ("warmth > True", "True stands there"),
        ("warmth > 1e999", "a number stands there that is too large"),
        ("warmth + 1 > 3", r"warmth \+ 1 stands there"),
        ("category == very-sad", "very-sad stands there.*is quoted"),
        ("category == 3", 'category is text and 3 is a number: if it is meant as text, write "3"'),
        ("category > sad", "category is text and cannot be > anything"),
        ("category in sad", r"write a list: category in \[a, b\]"),
        ("warmth == 'sad'", 'warmth is compared with the text "sad" but is no fact that is text'),
        ("categry == 'sad'", "did you mean category"),
        ("warmth in [3, sad]", "sad stands in the list after warmth"),
        ("response_words < warmth", "only one of the two is a fact"),
        ("response_words == 'two'", "response_words is compared with the text"),
        ("warmth > 3 if warmth else 2", "a comparison.*belongs there"),
        ("print(warmth) > 3", r"print\(warmth\) stands there"),
        ("warmth.real > 3", "warmth.real stands there"),
        ("(warmth := 3) > 2", "stands there"),
        ("category == 'a\\x41'", "a backslash stands there"),
        ("not " * 41 + "warmth > 3", "nested too deep"),
        ("1" + "+1" * 1900 + " > warmth", "stands there|too deep"),
        ("warmth > 3 or " * 400 + "warmth > 3", "characters long"),
    ],
)
def test_mistakes_say_what_stands_there_and_what_may(text, message) -> None:
    with pytest.raises(ConditionError, match=message):
        parse_condition(text, {})


def test_an_error_names_policy_and_rule() -> None:
    definition = {"name": "mine", "rules": [{"warm": "warmth > 3"}, {"calm": "warmth = 3"}]}
    with pytest.raises(UserError, match=r'in the policy mine, rule 2 "calm: warmth = 3": = stands there: write =='):
        policy_of_definition(definition)


def test_an_unknown_axis_shows_when_the_policy_meets_a_rubric(empathy) -> None:
    policy = RulePolicy.model_validate(
        {"name": "mine", "thresholds": {"least": 3}, "rules": [{"warm": "sensbility > least and turn > 1"}]}
    )
    assert (policy.names, policy.facts) == (("sensbility",), ("turn",))
    message = (
        r"the policy mine, rule 1 .*: sensbility stands there, but it is neither an axis of the rubric "
        r"\(sensibility, rationality\) nor a threshold \(least\) nor a fact .*; did you mean sensibility\?"
    )
    with pytest.raises(UserError, match=message):
        policy.bind(empathy)
