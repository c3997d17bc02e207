import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.service.items import MOST_MESSAGES, MOST_REPLIES, BodyError, parse_body, read_items
from service_server import MESSAGES, SAMPLE

READING = ReadingSettings(on_bad_row="skip")
SHAPES: dict[str, Any] = {
    "sample": SAMPLE,
    "messages": {"messages": MESSAGES},
    "bare messages": MESSAGES,
    "prompt and completion": {"prompt": "I lost my keys.", "completion": "Oh no!"},
    "sharegpt": {"conversations": [{"from": "human", "value": "I failed."}, {"from": "gpt", "value": "Oh no."}]},
    "alpaca": {"instruction": "I failed.", "input": "", "output": "Oh no."},
    "utterances": {"dialog": [{"speaker": "seeker", "content": "I failed."}, {"speaker": "supporter", "content": "N"}]},
}


def samples(value: Any, turns: str = "all"):
    items = read_items(parse_body(json.dumps(value).encode(), 100), READING, turns)
    assert [item.fault for item in items] == [""] * len(items)
    return [sample for item in items for sample in item.samples]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_that_users_have_is_an_item(shape) -> None:
    assert samples(SHAPES[shape])
    assert samples([SHAPES[shape]]) == samples(SHAPES[shape])


def test_a_conversation_has_a_sample_for_every_reply_or_the_last_alone() -> None:
    every, last = samples({"messages": MESSAGES}), samples({"messages": MESSAGES}, "last")
    assert [sample.response for sample in every] == [MESSAGES[1]["content"], MESSAGES[3]["content"]]
    assert last == every[1:]


def test_one_bad_item_costs_no_other() -> None:
    bad = [None, 3, "text", [], {}, {"a": 1}, {"messages": [{"role": "user", "content": "hi"}]}, {"messages": "x"}]
    items = read_items([SAMPLE, *bad, SAMPLE], READING)
    assert [bool(item.fault) for item in items] == [False, *[True] * len(bad), False]
    assert all(not item.samples for item in items if item.fault)
    assert items[0] == items[-1]


def test_an_item_is_bounded_in_turns_replies_and_text() -> None:
    pair = MESSAGES[:2]
    assert len(samples({"messages": pair * MOST_REPLIES})) == MOST_REPLIES
    faults = [
        read_items([{"messages": messages}], READING)[0].fault
        for messages in (
            pair * (MOST_REPLIES + 1), pair * MOST_MESSAGES, [{**pair[0], "content": "long " * 18_000}, pair[1]] * 3,
        )
    ]  # fmt: skip
    assert faults == [
        "it has 201 replies and 200 are read: send its last turns",
        "it has 1,000 turns and 500 are read: send its last turns",
        "it has 270,138 characters and 200,000 are read: send its last turns",
    ]


@pytest.mark.parametrize(
    ("body", "message", "status"),
    [
        (b"", "the body is empty", 400),
        (b" \n", "the body is empty", 400),
        (b"{", "not JSON", 400),
        (b'{"a": 1} {"b": 2}', "more than one JSON value", 400),
        (b"[" * 100_000, "the body cannot be read", 400),
        (b'{"context": "\xff", "response": "a"}', "the body cannot be read", 400),
        (b"\x00\x01", "the body cannot be read", 400),
        (b"3", "send a JSON object", 400),
        (b"null", "send a JSON object", 400),
        (b"[]", "the array is empty", 400),
        (json.dumps([SAMPLE] * 101).encode(), "101 conversations and 100 are taken at once", 413),
        (b"[" + b"1," * 4_000_001 + b"1]", "more than 4,000,000 values", 400),
    ],
)
def test_a_body_that_holds_no_items_is_told_so(body, message, status) -> None:
    with pytest.raises(BodyError, match=message) as raised:
        parse_body(body, 100)
    assert raised.value.status == status


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.sampled_from(["messages", "context", "response", "role", "content", "from", "value", "prompt"]) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5))


@settings(max_examples=40)
@given(st.lists(VALUES, max_size=4))
def test_any_json_is_samples_or_a_reason_beside_the_good_one(values) -> None:
    items = read_items([*values, SAMPLE], READING)
    assert len(items) == len(values) + 1
    assert all(bool(item.samples) != bool(item.fault) for item in items)
    assert items[-1].samples[0].response == SAMPLE["response"]


@settings(max_examples=40)
@given(st.binary())
def test_any_bytes_are_items_or_a_body_error(body) -> None:
    try:
        items = read_items(parse_body(body, 10), READING)
    except BodyError:
        return
    assert items
