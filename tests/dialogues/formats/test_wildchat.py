from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHAT = [
    {"role": "user", "content": "I cannot stop crying.", "language": "English", "toxic": False, "turn_identifier": 1},
    {"role": "assistant", "content": "I am here with you.", "language": "English", "toxic": True, "turn_identifier": 1},
]


def test_a_conversation_is_read_whatever_its_flags(convert: Callable[..., Any]) -> None:
    flags = {"language": "English", "toxic": True, "redacted": True, "openai_moderation": [{"flagged": True}]}
    [sample], intake = convert("wildchat", {"conversation_hash": "h", "model": "m", "conversation": CHAT, **flags})
    assert (sample.context[0].text, sample.response, sample.dialogue_id) == (
        "I cannot stop crying.",
        "I am here with you.",
        "h",
    )
    assert not intake.repairs


def test_a_conversation_without_a_reply_or_of_text_is_a_bad_row(convert: Callable[..., Any]) -> None:
    samples, intake = convert("wildchat", {"conversation": CHAT[:1]}, {"conversation": "hi"}, {})
    assert samples == []
    reasons = [row.reason for row in intake.bad_rows]
    assert reasons[0].startswith("no listener response")
    assert reasons[1:] == ["'conversation' is 'hi', not a list", "'conversation' is missing"]
