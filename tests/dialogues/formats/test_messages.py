from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "I lost my dog."},
    {"role": "assistant", "content": "I am so sorry."},
]


def test_system_turns_are_left_out_and_counted(convert: Callable[..., Any]) -> None:
    [sample], intake = convert("messages", {"messages": TURNS, "id": 7, "category": "sad", "split": "dev"})
    assert [turn.text for turn in sample.context] == ["I lost my dog."]
    assert (sample.dialogue_id, sample.category, sample.split) == ("7", "sad", "valid")
    assert intake.repairs == {"system turns left out": 1}


def test_content_may_be_text_parts(convert: Callable[..., Any]) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    image = [{"type": "image_url", "image_url": "x"}]
    rows = [{"messages": [{"role": "user", "content": content}, TURNS[2]]} for content in (parts, image)]
    [sample], intake = convert("messages", *rows)
    assert sample.context[0].text == "a\nb"
    assert intake.repairs == {"dialogues with images left out": 1}
    assert not intake.bad_rows


def test_faults_are_told(convert: Callable[..., Any]) -> None:
    rows = [
        {},
        {"messages": "hello"},
        {"messages": ["hello"]},
        {"messages": [{"content": "x"}]},
        {"messages": [{"role": "narrator", "content": "x"}]},
        {"messages": [{"role": {}, "content": "x"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": TURNS[:2]},
    ]
    samples, intake = convert("messages", *rows)
    assert not samples
    told = [
        "'messages' is missing",
        "not a list",
        "not an object",
        "'role' is missing",
        "unknown role 'narrator'",
        "unknown role",
    ]
    told += ["'content' is null", "'content' is '5', not text", "no listener response"]
    for number, (bad, words) in enumerate(zip(intake.bad_rows, told, strict=True), 1):
        assert bad.place == f"file:{number}"
        assert words in bad.reason


def turns(*marks: dict[str, Any]) -> list[dict[str, Any]]:
    """A question and a reply for each mark, which the reply has."""
    pairs = [
        ({"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"reply {n}", **mark})
        for n, mark in enumerate(marks)
    ]
    return [turn for pair in pairs for turn in pair]


@pytest.mark.parametrize(
    ("marks", "targets"),
    [
        ([{"train": False}, {"train": True}], [1]),
        ([{"train": True}, {}, {"train": True}], [0, 2]),
        ([{"train": True}, {"train": None}], [0]),
        ([{"train": False}, {}, {}], [1, 2]),
        ([{"training": False}, {"training": True}], [1]),
        ([{"train": 0.0}, {"train": 1.0}], [1]),
        ([{"train": False}, {"train": False}], []),
        ([{"train": None}, {"train": "x"}], [0, 1]),
        ([{}, {}], [0, 1]),
    ],
)
@pytest.mark.parametrize(("name", "key"), [("messages", "messages"), ("sharegpt", "conversations")])
def test_only_turns_to_train_on_are_samples(
    convert: Callable[..., Any], name: str, key: str, marks: list[dict[str, Any]], targets: list[int]
) -> None:
    samples, intake = convert(name, {key: [{"role": "system", "content": "Be kind."}, *turns(*marks)]})
    assert [sample.response for sample in samples] == [f"reply {n}" for n in targets]
    assert [len(sample.context) for sample in samples] == [2 * n + 1 for n in targets]
    assert intake.repairs["replies not to train on, read as context"] == len(marks) - len(targets)
    assert not intake.bad_rows


def test_a_speaker_s_mark_says_nothing_of_the_listener_s(convert: Callable[..., Any]) -> None:
    marked = [{**turn, "train": turn["role"] == "user"} if turn["role"] == "user" else turn for turn in turns({}, {})]
    samples, _ = convert("messages", {"messages": marked})
    assert len(samples) == 2


def test_merged_replies_are_a_sample_if_one_is_to_train_on(convert: Callable[..., Any]) -> None:
    reply = {"role": "assistant", "content": "And you?", "train": True}
    [sample], _ = convert("messages", {"messages": [*turns({"train": False}), reply]})
    assert sample.response == "reply 0\nAnd you?"


def test_a_question_that_holds_a_conversation_is_its_turns(convert: Callable[..., Any]) -> None:
    asked = "Human: I lost it.\n\nAssistant: Oh?\n\nHuman: My dog.\n\nAssistant:"
    reply = {"role": "assistant", "content": "I am sorry."}
    [sample], _ = convert("messages", {"messages": [{"role": "user", "content": asked}, reply]})
    assert [turn.text for turn in sample.context] == ["I lost it.", "Oh?", "My dog."]
    for quote in ("Summarise this.\nUser: hi\nAssistant: ho", "Why do you write Human: first?", "User: hi\nAgent: ho"):
        [sample], _ = convert("messages", {"messages": [{"role": "user", "content": quote}, reply]})
        assert [turn.text for turn in sample.context] == [quote]
