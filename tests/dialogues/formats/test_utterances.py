from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.formats import recognise_format

Convert = Callable[..., Any]
TEXTS = ["I failed.", "Oh no.", "Twice now.", "That is hard."]


def texts(sample: Any) -> list[str]:
    return [*(turn.text for turn in sample.context), sample.response]


def voiced(first: Any, second: Any, role: str = "speaker", text: str = "utterance") -> list[dict[str, Any]]:
    return [{role: (first, second)[i % 2], text: one} for i, one in enumerate(TEXTS)]


@pytest.mark.parametrize("key", ["dialog", "dialogue", "utterances", "turns", "history"])
@pytest.mark.parametrize("as_text", [False, True])
def test_texts_take_turns_and_the_speaker_is_first(convert: Convert, key: str, as_text: bool) -> None:
    row = {key: json.dumps(TEXTS) if as_text else TEXTS}
    samples, _ = convert("utterances", row)
    assert texts(samples[-1]) == TEXTS
    reader = recognise_format([row])
    assert reader is not None
    assert reader.name == "utterances"


@pytest.mark.parametrize(
    "row",
    [
        {"dialogue": voiced("A", "B")},
        {"turns": voiced("USER", "SYSTEM"), "services": ["trains"]},
        {"turns": {"turn_id": ["0", "1", "2", "3"], "speaker": [0, 1, 0, 1], "utterance": TEXTS}},
        {"utterances": voiced("customer", "agent", "role", "text")},
        {"dialogue": voiced("Speaker 1", "Speaker 2", "speaker", "text")},
        {"log": [{"text": text, "metadata": {}} for text in TEXTS], "goal": {}},
    ],
    ids=["letters", "SGD", "MultiWOZ", "roles", "numbered", "log"],
)
def test_objects_are_read_by_their_voices(convert: Convert, row: dict[str, Any]) -> None:
    samples, intake = convert("utterances", row)
    assert [texts(sample) for sample in samples] == [TEXTS[:2], TEXTS]
    assert not intake.bad_rows
    reader = recognise_format([row])
    assert reader is not None
    assert reader.name == "utterances"


@pytest.mark.parametrize("last", [{"response": "That is hard."}, {"candidates": ["Ha ha.", "That is hard."]}])
def test_a_history_may_have_its_response_beside_it(convert: Convert, last: dict[str, Any]) -> None:
    [sample], _ = convert("utterances", {"history": TEXTS[:3], "personality": ["I study."], **last})
    assert texts(sample) == TEXTS


def test_labels_of_single_turns_are_no_category(convert: Convert) -> None:
    samples, intake = convert("utterances", {"dialog": TEXTS, "act": [1, 2, 1, 2], "emotion": [5, 0, 5, 0]})
    assert {sample.category for sample in samples} == {None}
    assert intake.repairs == {"labels of single turns left out": 1}


def test_dailydialogs_text_is_read_line_by_line(write: Callable[..., Path]) -> None:
    lines = ["I failed . __eou__ Oh no . __eou__", "", "Hi, all __eou__ Hello __eou__ Bye __eou__"]
    source = open_source(write("dialogues_text.txt", "\n".join(lines)))
    samples = list(source)
    assert source.format == "utterances"
    assert [texts(sample) for sample in samples] == [["I failed .", "Oh no ."], ["Hi, all", "Hello"]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"dialogue": voiced("Ann", "Bob")}, "unknown role 'Ann' at 'speaker': pass --role Ann=speaker"),
        ({"dialogue": voiced("A", "B") + voiced("C", "A")}, "unknown role 'A'"),
        ({"dialogue": TEXTS, "utterances": TEXTS}, "none of dialog, dialogue, utterances, turns, log, history alone"),
        ({"turns": [1, 2]}, "none of dialog"),
        ({"dialogue": TEXTS[:1]}, "no listener response"),
        ({"history": TEXTS, "candidates": [1]}, "'candidates' ends with '1', not text"),
        ({"line": "no mark here"}, "no __eou__ in the line"),
    ],
)
def test_what_is_ambiguous_is_a_bad_row(convert: Convert, row: dict[str, Any], reason: str) -> None:
    samples, intake = convert("utterances", row)
    assert samples == []
    assert reason in intake.bad_rows[0].reason


def test_a_history_beside_another_question_is_not_the_dialogue() -> None:
    assert recognise_format([{"history": ["Hi.", "Hello."], "query": "And now?"}]) is None


def test_a_table_with_a_context_stays_a_table(write: Callable[..., Path]) -> None:
    path = write("a.jsonl", [{"context": "Hi.", "response": "Hello.", "history": ["x", "y"]}])
    assert inspect_source(path).format == "table"
