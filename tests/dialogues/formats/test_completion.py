from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import ReadingSettings, inspect_source, read_contexts
from efficient_empathy.dialogues.formats import recognise_format
from efficient_empathy.foundation.errors import UserError

USER = {"role": "user", "content": "I lost my dog."}
REPLY = {"role": "assistant", "content": "Oh no."}
MORE = [{"role": "user", "content": "He was old."}, {"role": "assistant", "content": "I am sorry."}]


@pytest.mark.parametrize(
    "prompt", ["I lost my dog.", "Human: I lost my dog.\n\nAssistant:", [USER], json.dumps([USER]), repr([USER])]
)
@pytest.mark.parametrize(
    "completion", ["Oh no.", " Assistant: Oh no.", [REPLY], REPLY, json.dumps([REPLY]), repr([REPLY])]
)
@pytest.mark.parametrize("key", ["completion", "response"])
def test_prompt_and_completion_have_many_forms(
    convert: Callable[..., Any], prompt: Any, completion: Any, key: str
) -> None:
    [sample], intake = convert("completion", {"prompt": prompt, key: completion, "messages": None, "id": 3})
    assert [turn.text for turn in sample.context] == ["I lost my dog."]
    assert (sample.response, sample.dialogue_id, sample.side) == ("Oh no.", "3", None)
    assert not intake.repairs


def test_a_prompt_s_replies_are_context_and_each_of_the_completion_s_a_sample(convert: Callable[..., Any]) -> None:
    [sample], _ = convert("completion", {"prompt": [USER, REPLY, MORE[0]], "completion": [MORE[1]]})
    assert (len(sample.context), sample.response) == (3, "I am sorry.")
    samples, _ = convert("completion", {"prompt": [USER], "completion": [REPLY, *MORE]})
    assert [(len(one.context), one.response) for one in samples] == [(1, "Oh no."), (3, "I am sorry.")]


def test_a_label_is_the_side_and_the_option_chooses(write: Callable[..., Path]) -> None:
    rows = [{"prompt": "a", "completion": "b", "label": flag} for flag in (True, False, True)]
    path = write("kto.jsonl", rows)
    for side, count in ((None, 3), ("both", 3), ("chosen", 2), ("rejected", 1)):
        inspection = inspect_source(path, ReadingSettings(side=side))
        assert (inspection.samples, inspection.bad_rows) == (count, 0)
        assert sum(inspection.side_counts.values()) == count
        assert sum(inspection.repairs.values()) == 3 - count


def test_a_side_of_data_without_sides_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="--side chosen chooses among replies, but no row has sides"):
        inspect_source(write("a.jsonl", [{"prompt": "a", "completion": "b"}]), ReadingSettings(side="chosen"))


def test_prompts_alone_can_be_answered_and_are_counted(write: Callable[..., Path]) -> None:
    path = write("prompts.jsonl", [{"prompt": "a", "id": 1}, {"prompt": [USER], "completion": None}])
    inspection = inspect_source(path)
    assert (inspection.format, inspection.samples, inspection.unanswered) == ("completion", 0, 2)
    assert [context[-1]["text"] for context in read_contexts(path)["context"]] == ["a", "I lost my dog."]
    with pytest.raises(UserError, match="'completion' is missing"):
        inspect_source(path, ReadingSettings())


def test_other_columns_beside_a_prompt_are_not_taken_for_it() -> None:
    assert recognise_format([{"prompt": "a", "answer": "b"}]) is None
    table = recognise_format([{"prompt": "a", "context": "b", "response": "c"}])
    assert table is not None
    assert table.name == "table"


def test_a_completion_that_begins_with_the_speaker_is_a_bad_row(convert: Callable[..., Any]) -> None:
    _, intake = convert("completion", {"prompt": [USER], "completion": [USER, REPLY]})
    assert "begins with a turn of the speaker's" in intake.bad_rows[0].reason
