from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from efficient_empathy.dialogues import Intake
from efficient_empathy.dialogues.formats import recognise_format
from efficient_empathy.dialogues.rows import Row

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
    ]
    samples, intake = convert("table", *rows)
    assert not samples
    words = [
        "no speaker turn",
        "response is empty",
        "'context' holds neither",
        "unknown role 'cat'",
    ]
    assert all(word in bad.reason for word, bad in zip(words, intake.bad_rows, strict=True))


PASSAGE = "The letter of 1912 was written by the baker of the town, who had lost his shop in a fire."
QUESTION = "Who wrote the letter in this text? Answer kindly."


@pytest.mark.parametrize(
    ("context", "turn"),
    [
        (PASSAGE, f"{QUESTION}\n{PASSAGE}"),
        ("", QUESTION),
        (None, QUESTION),
        (QUESTION, QUESTION),
        ("A <s>wrong</s> word.", f"{QUESTION}\nA <s>wrong</s> word."),
        ('["cat", "dog"]', f'{QUESTION}\n["cat", "dog"]'),
        (["One passage.", "Another."], f"{QUESTION}\nOne passage.\nAnother."),
        ("A play.\nSpeaker: hello", f"{QUESTION}\nA play.\nSpeaker: hello"),
    ],
)
def test_an_instruction_is_the_speaker_s_turn_and_the_context_a_passage_after_it(context: Any, turn: str) -> None:
    row = {"instruction": QUESTION, "context": context, "response": "It was the baker, poor man.", "category": "qa"}
    reader = recognise_format([row])
    assert reader is not None
    [sample] = reader.samples([Row("f:1", row)], Intake())
    assert [(turn.role, turn.text) for turn in sample.context] == [("speaker", turn)]
    assert (sample.response, sample.category) == ("It was the baker, poor man.", "qa")


@pytest.mark.parametrize(
    "context",
    [
        LABELLED,
        " </s> ".join(TURNS),
        [{"role": "user", "content": TURNS[0]}],
        '[{"from": "human", "value": "I lost my dog."}]',
    ],
)
def test_an_instruction_before_a_dialogue_is_a_preamble(convert: Callable[..., Any], context: Any) -> None:
    [sample], intake = convert("table", {"instruction": "Reply kindly.", "context": context, "response": "I am sorry."})
    assert [turn.text for turn in sample.context] in (TURNS, TURNS[:1])
    assert intake.repairs == {"preambles left out": 1}


def test_an_instruction_after_a_listener_s_turn_goes_on_with_the_dialogue(convert: Callable[..., Any]) -> None:
    row = {"instruction": TURNS[2], "context": "Speaker: I lost my dog.\nListener: Oh no.", "response": "I am sorry."}
    [sample], intake = convert("table", row)
    assert [turn.text for turn in sample.context] == TURNS
    assert not intake.repairs


def test_a_blank_instruction_is_none(convert: Callable[..., Any]) -> None:
    [sample], _ = convert("table", {"instruction": " ", "context": "I lost.", "response": "Oh."})
    assert [turn.text for turn in sample.context] == ["I lost."]


def test_a_reply_loses_the_label_that_the_listener_has_in_the_context(convert: Callable[..., Any]) -> None:
    labelled = {"context": "Patient: my knee\nDoctor: since when?\nPatient: May", "response": "Doctor: rest it."}
    samples, _ = convert("table", labelled, {"context": "Who?", "response": "Nurse: the one on duty."})
    assert [sample.response for sample in samples] == ["rest it.", "Nurse: the one on duty."]
