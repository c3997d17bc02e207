"""Ids, categories, splits and turn numbers of any type: kept as text, and never at the cost of a dialogue."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from efficient_empathy.dialogues import Intake
from efficient_empathy.dialogues.formats import find_reader
from efficient_empathy.dialogues.rows import Row

DIALOGUES: dict[str, dict[str, Any]] = {
    "messages": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
    "alpaca": {"instruction": "hi", "output": "hello"},
    "table": {"context": "hi", "response": "hello"},
}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
KEYS = ("category", "emotion", "label", "id", "dialogue_id", "split", "turn")


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (3.0, "3"), (0.25, "0.25"), (["sad", "é"], '["sad", "é"]'),
        ({"a": 1}, '{"a": 1}'), (datetime.date(2024, 1, 2), "2024-01-02"), ("a\0b\ud800c", "abc"), (" sad ", "sad"),
    ],
)  # fmt: skip
def test_a_label_of_any_type_is_text(convert: Callable[..., Any], name: str, value: Any, text: str) -> None:
    [sample], intake = convert(name, {**DIALOGUES[name], "label": value, "id": value})
    assert (sample.category, sample.dialogue_id) == (text, text)
    assert not intake.repairs


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.parametrize(
    ("value", "side"), [(True, "chosen"), (False, "rejected"), ("True", "chosen"), ("false", "rejected")]
)
def test_a_label_that_is_true_or_false_is_a_preference_and_no_category(
    convert: Callable[..., Any], name: str, value: Any, side: str
) -> None:
    [sample], intake = convert(name, {**DIALOGUES[name], "label": value, "emotion": True, "id": value})
    assert (sample.side, sample.category) == (side, "true")
    assert sample.dialogue_id == (value if isinstance(value, str) else str(value).lower())
    assert not intake.repairs
    [sample], _ = convert(name, {**DIALOGUES[name], "label": value})
    assert sample.category is None


@pytest.mark.parametrize("value", [None, "", " ", [], {}, float("nan")])
def test_a_label_that_says_nothing_is_none(convert: Callable[..., Any], value: Any) -> None:
    [sample], _ = convert("messages", {**DIALOGUES["messages"], "label": value})
    assert sample.category is None


def test_a_turn_number_that_is_none_is_left_out_and_counted(convert: Callable[..., Any]) -> None:
    [sample], intake = convert("alpaca", {**DIALOGUES["alpaca"], "turn": "soon"})
    assert sample.turn == 1
    assert intake.repairs == {"turn numbers that are none left out": 1}


@given(name=st.sampled_from([*DIALOGUES]), metadata=st.dictionaries(st.sampled_from(KEYS), ANY))
def test_no_metadata_costs_a_dialogue(name: str, metadata: dict[str, Any]) -> None:
    [sample] = find_reader(name).samples([Row("f:1", {**DIALOGUES[name], **metadata}, "f")], Intake())
    assert (sample.context[0].text, sample.response) == ("hi", "hello")
    for text in (sample.category, sample.dialogue_id, sample.split):
        assert text is None or text.encode()
