from __future__ import annotations

from collections.abc import Callable
from typing import Any

Convert = Callable[..., Any]
ROOT = "00000000-0000-4000-8000-000000000000"


def message(name: str, sender: str, *parts: Any, parent: str | None = None, **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    own = {"uuid": name, "sender": sender, "text": "as a whole", "content": content, **more}
    return own | ({"parent_message_uuid": parent} if parent else {})


def export(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"uuid": "c1", "name": "n", "chat_messages": list(messages), **more}


def texts(sample: Any) -> list[str]:
    return [*(turn.text for turn in sample.context), sample.response]


def test_text_parts_are_the_turn_and_the_rest_is_counted(convert: Convert) -> None:
    thinking, tool = {"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "name": "search", "input": {}}
    row = export(message("a", "human", "I failed."), message("b", "assistant", thinking, tool, "That hurts.", "Rest."))
    [sample], intake = convert("claude", row)
    assert (texts(sample), sample.dialogue_id) == (["I failed.", "That hurts.\nRest."], "c1")
    assert intake.repairs == {"reasoning left out": 1, "tool calls left out": 1}


def test_without_parts_the_text_is_the_turn(convert: Convert) -> None:
    turns = [{"sender": "human", "text": "Hi."}, {"sender": "assistant", "text": "Hello.", "content": []}]
    [sample], _ = convert("claude", export(*turns))
    assert texts(sample) == ["Hi.", "Hello."]


def test_pasted_text_belongs_to_its_turn(convert: Convert) -> None:
    pasted = {"file_name": "paste.txt", "extracted_content": "Dear Ann, we must let you go."}
    ask = message("a", "human", "What now?", attachments=[pasted], files=[])
    [sample], intake = convert("claude", export(ask, message("b", "assistant", "Breathe.")))
    assert sample.context[0].text == "What now?\nDear Ann, we must let you go."
    assert not intake.repairs


def test_a_conversation_about_a_file_is_left_out_and_counted(convert: Convert) -> None:
    reply = message("b", "assistant", "A lovely dog.")
    samples, intake = convert(
        "claude",
        export(message("a", "human", "And this?", attachments=[{"file_name": "x.pdf"}]), reply),
        export(message("a", "human", "And this?", files=[{"file_name": "dog.png"}]), reply),
    )
    assert (samples, intake.bad_rows) == ([], [])
    assert intake.repairs == {"dialogues with files left out": 2}


BRANCHES = [
    message("a", "human", "I failed.", parent=ROOT, created_at="2025-01-01T00:00:00Z"),
    message("b", "assistant", "Old.", parent="a", created_at="2025-01-01T00:00:01Z"),
    message("c", "assistant", "New.", parent="a", created_at="2025-01-01T00:00:02+00:00"),
]


def test_the_newest_branch_is_read_and_the_current_one_where_it_is_named(convert: Convert) -> None:
    [newest], intake = convert("claude", export(*BRANCHES))
    [current], _ = convert("claude", export(*BRANCHES, current_leaf_message_uuid="b"))
    assert (newest.response, current.response) == ("New.", "Old.")
    assert intake.repairs == {
        "messages of other branches left out": 1,
        "trees without a current message, read along their newest branch": 1,
    }


def test_a_chain_without_branches_has_nothing_to_count(convert: Convert) -> None:
    [sample], intake = convert("claude", export(*BRANCHES[:2]))
    assert sample.response == "Old."
    assert not intake.repairs


def test_wrong_twins_are_bad_rows(convert: Convert) -> None:
    samples, intake = convert(
        "claude",
        export(*BRANCHES, message("d", "human", "Eh?", parent="gone", created_at="2026-01-01T00:00:00Z")),
        export(message("a", "human", "x", parent="b"), message("b", "assistant", "y", parent="a")),
        export(BRANCHES[0], BRANCHES[0]),
        export({"sender": "robot", "text": "x"}, {"sender": "human", "text": "x"}),
        export(BRANCHES[0]),
        export(),
    )
    assert samples == []
    reasons = [row.reason for row in intake.bad_rows]
    assert "the message 'd' answers 'gone', which is not in the file" in reasons[0]
    assert "runs in a circle" in reasons[1]
    assert "'uuid' is 'a', missing or used twice" in reasons[2]
    assert "unknown role 'robot'" in reasons[3]
    assert "no listener response" in reasons[4]
    assert intake.repairs["conversations without messages left out"] == 1
