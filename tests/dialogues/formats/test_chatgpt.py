from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import inspect_source

Convert = Callable[..., Any]


def message(role: str, *parts: Any, time: float | None = 1.0, **more: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": list(parts)}
    return {"author": {"role": role}, "content": content, "create_time": time, "recipient": "all", **more}


def export(*nodes: tuple[str, str | None, dict[str, Any] | None], current: Any = None, **more: Any) -> dict[str, Any]:
    mapping = {name: {"id": name, "parent": parent, "message": value} for name, parent, value in nodes}
    return {"title": "t", "conversation_id": "c1", "current_node": current, "mapping": mapping, **more}


CHAT = [
    ("root", None, None),
    ("system", "root", message("system", "")),
    ("ask", "system", message("user", "The bakery let me go.")),
    ("old", "ask", message("assistant", "Bad luck.", time=2.0)),
    ("new", "ask", message("assistant", "Oh no. How are you?", time=3.0)),
]


def texts(sample: Any) -> list[str]:
    return [*(turn.text for turn in sample.context), sample.response]


def test_the_branch_of_the_current_node_is_the_conversation(convert: Convert) -> None:
    [sample], intake = convert("chatgpt", export(*CHAT, current="old"))
    assert (texts(sample), sample.dialogue_id) == (["The bakery let me go.", "Bad luck."], "c1")
    assert intake.repairs == {"messages of other branches left out": 1}


@pytest.mark.parametrize("current", [None, "gone", 7])
def test_without_its_current_node_a_tree_is_read_to_its_newest_leaf(convert: Convert, current: Any) -> None:
    [sample], intake = convert("chatgpt", export(*CHAT, current=current))
    assert sample.response == "Oh no. How are you?"
    assert intake.repairs["trees without a current message, read along their newest branch"] == 1


def test_without_times_the_last_leaf_is_the_newest(convert: Convert) -> None:
    untimed = [(name, parent, value and {**value, "create_time": None}) for name, parent, value in CHAT]
    [sample], _ = convert("chatgpt", export(*untimed))
    assert sample.response == "Oh no. How are you?"


def test_what_was_never_on_the_screen_is_left_out_and_counted(convert: Convert) -> None:
    thoughts = {**message("assistant"), "content": {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}}
    chain = [
        message("user", "Draft.", metadata={"is_visually_hidden_from_conversation": True}),
        message("user", "It rains again."),
        thoughts,
        message("assistant", "search(rain)", recipient="browser"),
        message("tool", "sunny tomorrow"),
        message("assistant", "Not this one.", weight=0.0),
        message("assistant", "Tomorrow looks better.", weight=1.0),
    ]
    nodes = [(str(i), str(i - 1) if i else None, value) for i, value in enumerate(chain)]
    [sample], intake = convert("chatgpt", export(*nodes, current="6"))
    assert texts(sample) == ["It rains again.", "Tomorrow looks better."]
    assert intake.repairs["hidden messages left out"] == 2
    assert intake.repairs["reasoning left out"] == 1
    assert intake.repairs["tool calls left out"] == 1
    assert sum(intake.repairs.values()) == 5


def test_of_a_voice_message_the_transcript_is_read(convert: Convert) -> None:
    sound = {"content_type": "audio_asset_pointer", "asset_pointer": "file-service://x"}
    voice = {"content_type": "audio_transcription", "text": "and my voice"}
    nodes = [("u", None, message("user", sound, "My dog", voice)), ("a", "u", message("assistant", "Lovely."))]
    [sample], intake = convert("chatgpt", export(*nodes, current="a"))
    assert sample.context[0].text == "My dog\nand my voice"
    assert not intake.repairs


def test_a_conversation_about_an_image_is_left_out_and_counted(convert: Convert) -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    nodes = [("u", None, message("user", image, "My dog")), ("a", "u", message("assistant", "Lovely."))]
    samples, intake = convert("chatgpt", export(*nodes, current="a"))
    assert (samples, intake.bad_rows) == ([], [])
    assert intake.repairs == {"dialogues with images left out": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (export(*CHAT[2:], current="new"), "'ask' answers 'system', which is not in the file: export it again"),
        (
            export(("a", "b", message("user", "x")), ("b", "a", message("assistant", "y")), current="a"),
            "its tree runs in a circle at the message 'a'",
        ),
        (export(("a", "b", message("user", "x")), ("b", "a", None)), "runs in a circle: every message is answered"),
        ({"mapping": {"a": 3}}, "not an object of messages"),
        (export(("u", None, message("user", "x")), current="u"), "no listener response"),
    ],
)
def test_a_broken_tree_is_a_bad_row(convert: Convert, row: dict[str, Any], reason: str) -> None:
    samples, intake = convert("chatgpt", row)
    assert samples == []
    assert reason in intake.bad_rows[0].reason


def test_a_conversation_without_messages_is_counted(convert: Convert) -> None:
    samples, intake = convert("chatgpt", export(), export(*CHAT[:2], current="system"))
    assert (samples, intake.bad_rows) == ([], [])
    assert intake.repairs == {"conversations without messages left out": 2}


def test_a_conversation_that_comes_back_is_read_once_and_refused_if_it_changed(convert: Convert) -> None:
    row, other = export(*CHAT, current="new"), export(*CHAT, current="old")
    samples, intake = convert("chatgpt", row, row, other)
    assert len(samples) == 1
    assert intake.repairs["conversations that come twice, read once"] == 1
    assert "the conversation 'c1' came before with other messages: keep one" in intake.bad_rows[0].reason


def test_one_conversation_alone_is_a_file_too(write: Callable[..., Any]) -> None:
    inspection = inspect_source(write("chat.json", json.dumps(export(*CHAT, current="new"), indent=1)))
    assert (inspection.format, inspection.samples) == ("chatgpt", 1)


def test_the_zip_is_read_whatever_lies_beside_the_conversations(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("conversations.json", json.dumps([export(*CHAT, current="new")]))
        file.writestr("message_feedback.json", "[]")
        file.writestr("user.json", json.dumps({"id": "user-1", "email": "ann@example.org"}))
        file.writestr("shared_conversations.json", json.dumps([{"id": "s", "conversation_id": "c1", "title": "t"}]))
        file.writestr("chat.html", "<html></html>")
    inspection = inspect_source(path)
    assert (inspection.format, inspection.samples) == ("chatgpt", 1)
    assert len(inspection.skipped_files) == 4
