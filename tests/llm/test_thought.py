import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.llm.thought import strip_thoughts

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
