from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("text", "seeker", "supporter"),
    [("text", "usr", "sys"), ("content", "seeker", "supporter"), ("content", "speaker", "listener")],
)
def test_every_naming_is_read(convert: Callable[..., Any], text: str, seeker: str, supporter: str) -> None:
    dialog = [
        {"speaker": supporter, text: "Hello"},
        {"speaker": seeker, text: "I am lost\n"},
        {"speaker": supporter, text: "Why?"},
    ]
    [sample], intake = convert("esconv", {"dialog": dialog, "emotion_type": "anxiety", "split": "train"})
    assert (sample.context[0].text, sample.response, sample.category, sample.split) == (
        "I am lost",
        "Why?",
        "anxiety",
        "train",
    )
    assert intake.repairs == {"opening listener turns left out": 1}


def test_conversations_with_the_same_opening_are_told_apart(convert: Callable[..., Any]) -> None:
    rows = [
        {
            "dialog": [
                {"speaker": "usr", "text": "Hi"},
                {"speaker": "sys", "text": "Hello"},
                {"speaker": "usr", "text": end},
            ]
        }
        for end in ("a", "b")
    ]
    samples, _ = convert("esconv", *rows)
    assert len({sample.id for sample in samples}) == 1
    assert len({sample.dialogue_id for sample in samples}) == 2
