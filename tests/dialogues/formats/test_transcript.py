"""Whole conversations in one text."""

from __future__ import annotations

from typing import Any

import pytest

from efficient_empathy.dialogues.formats import recognise_format
from efficient_empathy.dialogues.rows import Intake, Row
from efficient_empathy.dialogues.settings import ReadingSettings

TURNS = ["My cat ran away.", "Oh no. Since when?", "Since Friday.", "I hope somebody finds her."]
A, B, C, D = TURNS
TEXTS = {
    "guanaco": f"### Human: {A}### Assistant: {B}### Human: {C}### Assistant: {D}",
    "chatml": "".join(
        f"<|im_start|>{role}\n{text}<|im_end|>\n"
        for role, text in zip(["system", "user", "assistant", "user", "assistant"], ["Be kind.", *TURNS], strict=True)
    ),
    "llama 2": f"<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\n{A} [/INST] {B} </s><s>[INST] {C} [/INST] {D} </s>",
    "lines": f"User: {A}\nAssistant: {B}\nUser: {C}\nAssistant: {D}",
    "end of utterance": f"{A} __eou__ {B} __eou__ {C} __eou__ {D} __eou__",
}


def read(values: dict[str, Any]) -> tuple[list[Any], Intake]:
    reader = recognise_format([values])
    assert reader is not None
    assert reader.name == "transcript"
    intake = Intake(ReadingSettings(on_bad_row="skip"))
    return [*reader.samples([Row("f:1", values)], intake)], intake


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("key", ["text", "conversation", "messages"])
def test_a_conversation_in_one_text_is_read_turn_by_turn(text: str, key: str) -> None:
    samples, intake = read({key: text, "id": "x"})
    assert [[*(turn.text for turn in one.context), one.response] for one in samples] == [TURNS[:2], TURNS]
    assert [turn.role for turn in samples[1].context] == ["speaker", "listener", "speaker"]
    assert intake.bad_row_count == 0
    assert intake.repairs["system turns left out"] == ("Be kind." in text)


@pytest.mark.parametrize("text", ["Note: buy bread.", "To whom it may concern: hello.\nBest: Ann", "", "Human: hi"])
def test_plain_text_is_of_no_format(text: str) -> None:
    assert recognise_format([{"text": text}]) is None


def test_two_columns_that_hold_conversations_are_not_guessed_between() -> None:
    assert recognise_format([{"text": TEXTS["lines"], "transcript": TEXTS["lines"]}]) is None


def test_a_plain_text_among_conversations_is_a_bad_row() -> None:
    reader = recognise_format([{"text": TEXTS["lines"]}])
    assert reader is not None
    intake = Intake(ReadingSettings(on_bad_row="skip"))
    assert [*reader.samples([Row("f:1", {"text": "Only words."})], intake)] == []
    assert "without labels" in intake.bad_rows[0].reason
