from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

DIALOGUE = "Speaker: I lost my dog.\nListener: Oh no.\nSpeaker: He was old."


@pytest.mark.parametrize(
    "values",
    [
        {"instruction": DIALOGUE, "input": ""},
        {"instruction": f"You are the listener. Answer.\n{DIALOGUE}\nListener:"},
        {"instruction": "Answer with empathy.", "input": f"{DIALOGUE}\nListener: "},
        {"instruction": "He was old.", "input": "", "history": [["I lost my dog.", "Oh no."]]},
    ],
)
@pytest.mark.parametrize("output", ["I am sorry.", "Listener: I am sorry."])
def test_the_dialogue_is_found_wherever_it_stands(
    convert: Callable[..., Any], values: dict[str, Any], output: str
) -> None:
    [sample], intake = convert("alpaca", {**values, "output": output})
    assert [turn.text for turn in sample.context] == ["I lost my dog.", "Oh no.", "He was old."]
    assert (sample.response, sample.turn) == ("I am sorry.", 3)
    assert not set(intake.repairs) - {"preambles left out"}


def test_without_labels_instruction_and_input_are_one_turn(convert: Callable[..., Any]) -> None:
    [sample], _ = convert("alpaca", {"instruction": "Console me.", "input": "I lost.", "output": "There, there."})
    assert sample.context[0].text == "Console me.\nI lost."


def test_faults_are_told(convert: Callable[..., Any]) -> None:
    rows = [
        {"instruction": "a", "output": ""},
        {"output": "a"},
        {"instruction": "a", "output": "b", "history": [["x"]]},
        {"instruction": "", "output": "b"},
    ]
    samples, intake = convert("alpaca", *rows)
    assert not samples
    for bad, words in zip(
        intake.bad_rows, ["response is empty", "'instruction'", "'history'", "no speaker turn"], strict=True
    ):
        assert words in bad.reason
