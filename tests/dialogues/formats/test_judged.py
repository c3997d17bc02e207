from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_turns_are_told_by_the_separator(convert: Callable[..., Any]) -> None:
    row = {
        "context": "a </s> b </s> c </s>",
        "response": " d ",
        "evaluation": 5,
        "conv_id": "x",
        "turn": 9,
        "emotion": "sad",
    }
    [sample], intake = convert("judged", row)
    assert [(turn.role, turn.text) for turn in sample.context] == [
        ("speaker", "a"),
        ("listener", "b"),
        ("speaker", "c"),
    ]
    assert (sample.response, sample.dialogue_id, sample.turn, sample.category) == ("d", "x", 9, "sad")
    assert not intake.repairs


def test_the_turn_before_the_response_is_the_speakers(convert: Callable[..., Any]) -> None:
    [sample], intake = convert("judged", {"context": "a </s> b", "response": "c"})
    assert [turn.text for turn in sample.context] == ["b"]
    assert intake.repairs == {"opening listener turns left out": 1}


def test_faults_are_told(convert: Callable[..., Any]) -> None:
    _, intake = convert("judged", {"context": "a"}, {"context": "", "response": "b"}, {"context": 3, "response": "b"})
    words = ["'response' is missing", "no speaker turn", "'context' is"]
    assert all(word in bad.reason for word, bad in zip(words, intake.bad_rows, strict=True))
