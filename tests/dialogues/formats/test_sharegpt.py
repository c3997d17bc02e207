from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("role", "text", "speaker", "listener"),
    [
        ("from", "value", "human", "gpt"),
        ("from", "value", "user", "assistant"),
        ("role", "content", "user", "assistant"),
    ],
)
def test_both_pairs_of_keys_are_read(
    convert: Callable[..., Any], role: str, text: str, speaker: str, listener: str
) -> None:
    turns = [{role: "system", text: "s"}, {role: speaker, text: "hi"}, {role: listener, text: "hello"}]
    [sample], intake = convert("sharegpt", {"conversations": turns, "system": "Be kind.", "id": "a1"})
    assert (sample.context[0].text, sample.response, sample.dialogue_id) == ("hi", "hello", "a1")
    assert intake.repairs == {"system turns left out": 2}


def test_an_unknown_role_is_a_bad_row(convert: Callable[..., Any]) -> None:
    _, intake = convert("sharegpt", {"conversations": [{"from": "narrator", "value": "{}"}]})
    assert "unknown role 'narrator' at 'from'" in intake.bad_rows[0].reason
