from __future__ import annotations

from collections.abc import Callable
from typing import Any

TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "I lost my dog."},
    {"role": "assistant", "content": "I am so sorry."},
]


def test_system_turns_are_left_out_and_counted(convert: Callable[..., Any]) -> None:
    [sample], intake = convert("messages", {"messages": TURNS, "id": 7, "category": "sad", "split": "dev"})
    assert [turn.text for turn in sample.context] == ["I lost my dog."]
    assert (sample.dialogue_id, sample.category, sample.split) == ("7", "sad", "valid")
    assert intake.repairs == {"system turns left out": 1}


def test_content_may_be_text_parts(convert: Callable[..., Any]) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    image = [{"type": "image_url", "image_url": "x"}]
    rows = [{"messages": [{"role": "user", "content": content}, TURNS[2]]} for content in (parts, image)]
    [sample], intake = convert("messages", *rows)
    assert sample.context[0].text == "a\nb"
    assert "which is no text" in intake.bad_rows[0].reason


def test_faults_are_told(convert: Callable[..., Any]) -> None:
    rows = [
        {},
        {"messages": "hello"},
        {"messages": ["hello"]},
        {"messages": [{"content": "x"}]},
        {"messages": [{"role": "narrator", "content": "x"}]},
        {"messages": [{"role": {}, "content": "x"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": TURNS[:2]},
        {"messages": TURNS, "category": ["sad"]},
    ]
    samples, intake = convert("messages", *rows)
    assert not samples
    told = [
        "'messages' is missing",
        "not a list",
        "not an object",
        "'role' is missing",
        "unknown role 'narrator'",
        "unknown role",
    ]
    told += ["'content' is null", "'content' is '5', not text", "no listener response", "'category' is"]
    for number, (bad, words) in enumerate(zip(intake.bad_rows, told, strict=True), 1):
        assert bad.place == f"file:{number}"
        assert words in bad.reason
