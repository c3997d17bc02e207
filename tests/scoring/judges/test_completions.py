import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Completion
from efficient_empathy.scoring import Judgement, Rubric
from efficient_empathy.scoring.judges.completions import Streak, read_completion
from samples import FORM

RUBRIC = Rubric.load()
JSON = json.dumps({"sensibility": 8, "rationality": 2})


def read(text: str, finish: str = "stop", *, room: int = 0, refusal: str | None = None, thought: str = "") -> Judgement:
    completion = Completion(text, finish, refusal, None, 20, 4, 0.01, 0.5, 1, thought)
    return read_completion(completion, "id", RUBRIC, "judge", max_tokens=100, room=room)


def test_scores_in_the_reasoning_are_named_and_never_taken() -> None:
    judgement = read("", thought=JSON)
    assert (judgement.state, judgement.scores) == ("parse_error", {})
    assert "came as reasoning" in judgement.reason
    assert "enable_thinking" in judgement.reason
    assert JSON in judgement.raw


def test_reasoning_beside_a_reply_is_no_part_of_it() -> None:
    judgement = read(JSON, thought="Sensibility: 1, Rationality: 1")
    assert dict(judgement.scores) == {"sensibility": 8, "rationality": 2}
    assert judgement.raw == JSON


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "max_output_tokens"])
@pytest.mark.parametrize(
    ("text", "thought"), [("<think>\nSensibility: 4\nRationality: 9\n", ""), ("", "Let me think"), ("", "")]
)
def test_a_thought_that_was_cut_says_which_room_to_give(text: str, thought: str, finish: str) -> None:
    judgement = read(text, finish, thought=thought)
    assert (judgement.state, judgement.scores) == ("parse_error", {})
    assert "cut off after 100 tokens: raise --max-tokens, or give thoughts --reasoning-tokens 4096" in judgement.reason
    assert "cut off after 600 tokens: raise --reasoning-tokens" in read(text, finish, thought=thought, room=500).reason


def test_a_reply_that_was_cut_is_asked_to_be_longer_not_to_think() -> None:
    judgement = read('{"sensibility": 8, ', "length")
    assert judgement.reason.endswith("(cut off after 100 tokens: raise --max-tokens)")


@given(st.integers(1, 9), st.sampled_from(["", " ", "\n", ".", "/"]))
def test_a_number_that_may_go_on_is_no_score(digit: int, rest: str) -> None:
    cut = read(f"Sensibility: 8\nRationality: {digit}{rest}", "length")
    assert (cut.state, cut.scores) == ("parse_error", {})
    assert "cut off after 100 tokens" in cut.reason
    assert read(f"Sensibility: 8\nRationality: {digit}", "stop").scores == {"sensibility": 8, "rationality": digit}


def test_what_is_complete_counts_though_its_explanation_was_cut() -> None:
    assert read(FORM.format(8, 2) + "\n\nThe listener nam", "length").state == "ok"
    assert read(JSON[:-1] + ', "why": "The list', "length").state == "ok"


def test_what_the_server_filters_is_refused_whatever_it_says() -> None:
    assert read(JSON, "content_filter").state == "refused"
    assert read("", refusal="I cannot").reason == "I cannot"


def failure(reason: str) -> Judgement:
    return Judgement("id", "parse_error", "judge", RUBRIC.hash, reason=reason)


def test_a_judge_that_never_gives_scores_is_stopped_with_the_reason() -> None:
    streak = Streak()
    for _ in range(49):
        streak.add(failure("no value for sensibility"))
    streak.check()
    streak.add(failure("the reply is empty"))
    with pytest.raises(UserError, match=r"none of the last 50 replies .* 49 × no value for sensibility"):
        streak.check()


def test_one_reply_with_scores_and_it_goes_on() -> None:
    streak = Streak()
    for i in range(200):
        streak.add(failure("no value") if i % 50 else read(JSON))
    streak.check()
