import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.llm.thought import DEFAULT_ROOM, reasoning_room, strip_thoughts

PIECES = st.lists(st.sampled_from(["<think>", "</think>", "<Reasoning>", "</thinking >", "a", "\n", "Sensibility: 7 "]))


@given(PIECES.map("".join))
def test_places_stay_and_nothing_but_thoughts_goes(reply: str) -> None:
    answer = strip_thoughts(reply)
    assert len(answer.text) == len(reply)
    assert all(mine in (" ", theirs) for mine, theirs in zip(answer.text, reply, strict=True))
    assert "<" not in answer.text
    after = max((reply.rfind(mark) for mark in ("<think>", "<Reasoning>")), default=-1)
    closed = max((reply.rfind(mark) for mark in ("</think>", "</thinking >")), default=-1)
    assert answer.unfinished == (after > closed)


@pytest.mark.parametrize("reply", ["I think <that> you [think]ing", "a < b", "", "<b>thinking</b>"])
def test_other_marks_are_text(reply: str) -> None:
    answer = strip_thoughts(reply.replace("[think]ing", "rethinking"))
    assert answer.text == reply.replace("[think]ing", "rethinking")
    assert not answer.unfinished


def test_what_stands_before_a_thought_and_after_it_is_the_answer() -> None:
    assert strip_thoughts("A<think>b<think>c</think>D").text.replace(" ", "") == "AD"
    assert strip_thoughts("b</think>c</think>D").text.replace(" ", "") == "D"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("analysis", "assistantfinal"), ("Here is my thought process:", "Here is my response:"),
        ("<analysis>", "</analysis>"), ("<seed:think>", "</seed:think>"), ("[THINKING]", "[/THINKING]"),
    ],
)  # fmt: skip
def test_every_model_s_own_marks_are_known(opening: str, closing: str) -> None:
    assert strip_thoughts(f"{opening}We rate.{closing}7").text.strip() == "7"
    assert strip_thoughts(f"{opening}We rate.").unfinished


@pytest.mark.parametrize("reply", ["Analysis: warm.", "analysis of the reply", "[Reasoning] warm [Scores] 7"])
def test_headings_are_no_marks(reply: str) -> None:
    assert strip_thoughts(reply).text == reply


def test_a_reply_of_nothing_but_marks_is_read_in_no_time() -> None:
    assert not strip_thoughts("<think></think>" * 60_000).text.strip()


@pytest.mark.parametrize(
    ("extra", "room"),
    [
        ({}, 0),
        ({"top_p": 1, "max_tokens": 700, "chat_template_kwargs": {"system": "think"}}, 0),
        ({"reasoning_effort": "low"}, DEFAULT_ROOM),
        ({"reasoning_effort": "none"}, 0),
        ({"reasoning": {"effort": "high"}}, DEFAULT_ROOM),
        ({"reasoning": {"enabled": False}}, 0),
        ({"reasoning": {"max_tokens": 2000}}, 2000),
        ({"thinking": {"type": "enabled", "budget_tokens": 1500}}, 1500),
        ({"thinking": {"type": "adaptive"}}, DEFAULT_ROOM),
        ({"thinking": {"type": "disabled"}}, 0),
        ({"chat_template_kwargs": {"enable_thinking": True}}, DEFAULT_ROOM),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 0),
        ({"enable_thinking": True, "thinking_budget": 800}, 800),
        ({"google": {"thinking_config": {"thinking_budget": 900, "include_thoughts": True}}}, 900),
        ({"google": {"thinking_config": {"thinking_budget": 0}}}, 0),
        ({"google": {"thinking_config": {"thinking_budget": -1}}}, DEFAULT_ROOM),
        ({"think": True}, DEFAULT_ROOM),
    ],
)
def test_what_asks_for_reasoning_gets_room_for_it(extra: dict, room: int) -> None:
    assert reasoning_room(extra) == room
