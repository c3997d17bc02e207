from __future__ import annotations

from collections.abc import Callable
from typing import Any

from efficient_empathy.dialogues import Sample, Utterance

SAMPLE = Sample.of(
    [Utterance("speaker", "a"), Utterance("listener", "b"), Utterance("speaker", "c")],
    "d",
    dialogue_id="x",
    turn=5,
    category="sad",
    split="holdout",
    source="elsewhere.csv",
)


def test_a_sample_comes_back_as_it_was(convert: Callable[..., Any]) -> None:
    assert convert("samples", SAMPLE.row())[0] == [SAMPLE]


def test_an_edited_text_gets_its_own_id(convert: Callable[..., Any]) -> None:
    [sample], _ = convert("samples", {**SAMPLE.row(), "response": "e"})
    assert sample.id != SAMPLE.id


def test_faults_are_told(convert: Callable[..., Any]) -> None:
    _, intake = convert(
        "samples", {**SAMPLE.row(), "context": None}, {**SAMPLE.row(), "context": [{"role": "cat", "text": "a"}]}
    )
    assert [bad.reason.split(":")[0] for bad in intake.bad_rows] == [
        "'context' is null",
        "unknown role 'cat' at 'role'",
    ]
