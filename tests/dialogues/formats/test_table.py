from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

TURNS = ["I lost my dog.", "Oh no.", "He was old."]
LABELLED = "Speaker: I lost my dog.\nListener: Oh no.\nSpeaker: He was old."


@pytest.mark.parametrize(
    "context",
    [
        " </s> ".join(TURNS),
        LABELLED,
        TURNS,
        json.dumps(TURNS),
        [{"role": role, "text": text} for role, text in zip(["speaker", "listener", "speaker"], TURNS, strict=True)],
        [{"role": role, "content": text} for role, text in zip(["user", "assistant", "user"], TURNS, strict=True)],
        [{"from": role, "value": text} for role, text in zip(["human", "gpt", "human"], TURNS, strict=True)],
    ],
)
def test_a_context_has_many_forms(convert: Callable[..., Any], context: Any) -> None:
    [sample], intake = convert(
        "table", {"context": context, "response": "I am sorry.", "label": 3, "id": 12, "turn": "5"}
    )
    assert [turn.text for turn in sample.context] == TURNS
    assert (sample.category, sample.dialogue_id, sample.turn) == ("3", "12", 5)
    assert not intake.repairs


def test_plain_text_is_one_turn(convert: Callable[..., Any]) -> None:
    [sample], _ = convert("table", {"context": "[sighs] I lost.", "response": "Oh."})
    assert [turn.text for turn in sample.context] == ["[sighs] I lost."]


def test_a_listener_turn_before_the_response_runs_into_it(convert: Callable[..., Any]) -> None:
    [sample], intake = convert("table", {"context": "Speaker: a\nListener: b", "response": "c"})
    assert (len(sample.context), sample.response) == (1, "b\nc")
    assert intake.repairs == {"running turns merged": 1}


def test_faults_are_told(convert: Callable[..., Any]) -> None:
    rows = [
        {"context": "", "response": "a"},
        {"context": "a", "response": " "},
        {"context": ["a", 1], "response": "b"},
        {"context": [{"role": "cat", "text": "a"}], "response": "b"},
        {"context": "a", "response": "b", "turn": "soon"},
    ]
    samples, intake = convert("table", *rows)
    assert not samples
    words = [
        "no speaker turn",
        "response is empty",
        "'context' holds neither",
        "unknown role 'cat'",
        "'turn' is 'soon'",
    ]
    assert all(word in bad.reason for word, bad in zip(words, intake.bad_rows, strict=True))
