from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from efficient_empathy.dialogues import Intake, ReadingSettings, inspect_source, open_source
from efficient_empathy.dialogues.rows import LeftOutError, MalformedError
from efficient_empathy.dialogues.turns.chat import chat_of, turns_of
from efficient_empathy.dialogues.turns.roles import LISTENERS, REASONING, SPEAKERS, SYSTEM, TOOLS
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]


def turn(role: str, content: Any, **others: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **others}


@pytest.mark.parametrize("speaker", sorted(SPEAKERS))
def test_every_speaker_s_name_is_known(speaker: str) -> None:
    items = [turn(speaker.upper(), "a"), turn("assistant", "b")]
    assert turns_of(items, "role", "content", Intake()) == [("speaker", "a"), ("listener", "b")]


@pytest.mark.parametrize("listener", sorted(LISTENERS))
def test_every_listener_s_name_is_known(listener: str) -> None:
    items = [turn("user", "a"), turn(f" {listener} ", "b")]
    assert turns_of(items, "role", "content", Intake()) == [("speaker", "a"), ("listener", "b")]


@pytest.mark.parametrize(
    ("names", "kind"), [(SYSTEM, "system turns"), (TOOLS, "tool turns"), (REASONING, "reasoning turns")]
)
def test_turns_of_no_voice_are_counted_by_kind(names: frozenset[str], kind: str) -> None:
    intake = Intake()
    items = [turn("user", "a"), *(turn(name, {"any": 1}) for name in sorted(names)), turn("assistant", "b")]
    assert turns_of(items, "role", "content", intake) == [("speaker", "a"), ("listener", "b")]
    assert intake.repairs == {f"{kind} left out": len(names)}


def test_a_message_that_only_calls_tools_is_left_out() -> None:
    intake = Intake()
    items = [
        turn("user", "Where is it?"),
        turn("assistant", None, tool_calls=[{"id": "c"}]),
        turn("assistant", "", function_call={"name": "f"}),
        turn("assistant", "Let me look.", tool_calls=[{"id": "d"}]),
        turn("assistant", "It is near.", tool_calls=[]),
    ]
    texts = [text for _, text in turns_of(items, "role", "content", intake)]
    assert texts == ["Where is it?", "Let me look.", "It is near."]
    assert intake.repairs == {"tool calls left out": 3}


def test_a_refusal_is_the_reply() -> None:
    items = [
        turn("user", "a"),
        turn("assistant", None, refusal="I can't."),
        turn("assistant", [{"type": "refusal", "refusal": "No."}]),
    ]
    assert [text for _, text in turns_of(items, "role", "content", Intake())] == ["a", "I can't.", "No."]


@pytest.mark.parametrize(
    ("content", "text", "repairs"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb", {}),
        ([{"type": "input_text", "text": "a"}, "b"], "a\nb", {}),
        ([{"type": "text", "text": {"value": "a", "annotations": []}}], "a", {}),
        ([{"type": "text", "text": "a", "image_url": None}], "a", {}),
        ([{"text": "a", "type": None}], "a", {}),
        ({"content_type": "text", "parts": ["a"]}, "a", {}),
        ({"type": "text", "text": "a"}, "a", {}),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}], "a", {"reasoning left out": 1}),
        ([{"type": "tool_use", "name": "f"}, {"type": "text", "text": "a"}], "a", {"tool calls left out": 1}),
        ([{"type": "tool_result", "content": "x"}, {"type": "text", "text": "a"}], "a", {"tool results left out": 1}),
        ("<think>hm\nhm</think>\n\na", "a", {"reasoning left out": 1}),
        ("a <think>b</think>", "a <think>b</think>", {}),
    ],
)  # fmt: skip
def test_parts_of_text_are_joined_and_others_counted(content: Any, text: str, repairs: dict[str, int]) -> None:
    intake = Intake()
    assert turns_of([turn("assistant", content)], "role", "content", intake) == [("listener", text)]
    assert intake.repairs == repairs


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, "images"),
        ({"type": "image", "text": None}, "images"),
        ({"type": "input_image", "file_id": "f"}, "images"),
        ({"image": "cat.jpg"}, "images"),
        ({"type": "input_audio", "input_audio": {}}, "audio"),
        ({"type": "video", "video": "x"}, "videos"),
        ({"type": "file", "file": {}}, "files"),
    ],
)
def test_a_dialogue_about_an_image_is_left_out(part: dict[str, Any], kind: str) -> None:
    with pytest.raises(LeftOutError, match=f"dialogues with {kind} left out"):
        turns_of([turn("user", [{"type": "text", "text": "Look."}, part])], "role", "content", Intake())


@pytest.mark.parametrize("content", [[1], [{"type": "poem"}], [[]], 5, True, {"a": 1}, [{"type": "text", "text": 1}]])
def test_what_is_neither_text_nor_a_known_part_is_malformed(content: Any) -> None:
    with pytest.raises(MalformedError, match="'content'"):
        turns_of([turn("user", content)], "role", "content", Intake())


@pytest.mark.parametrize(
    ("row", "left_out"),
    [
        ({"images": ["cat.jpg"]}, True),
        ({"images": ["cat.jpg"], "text": "This is <image> our cat."}, True),
        ({"image": "cat.jpg", "text": "This is <image> our cat."}, True),
        ({"image": "avatar.png"}, False),
        ({"images": []}, False),
        ({"images": None}, False),
        ({"text": "<image>\nThis is our cat."}, True),
        ({"text": "What is this? <audio>"}, True),
        ({"text": "How do I close <image> in SVG?"}, False),
    ],
)
def test_an_image_beside_the_dialogue_counts_where_the_text_needs_it(
    convert: Callable[..., Any], row: dict[str, Any], left_out: bool
) -> None:
    text = row.pop("text", "Our cat died.")
    samples, intake = convert("messages", {"messages": [turn("user", text), turn("assistant", "Oh no.")], **row})
    assert (not samples) == left_out == bool(intake.repairs)
    assert not intake.bad_rows


@pytest.mark.parametrize(
    ("mark", "targets"),
    [
        ({"weight": 0}, [1]),
        ({"weight": 1}, [0, 1]),
        ({"weight": 0.5}, [0, 1]),
        ({"loss": False}, [1]),
        ({"loss": True}, [0, 1]),
        ({"masked": True}, [1]),
        ({"masked": False}, [0, 1]),
        ({"mask": True}, [1]),
        ({"train": True}, [0]),
        ({"weight": None}, [0, 1]),
    ],
)
def test_what_is_not_to_be_trained_on_is_context(
    convert: Callable[..., Any], mark: dict[str, Any], targets: list[int]
) -> None:
    chat = [turn("user", "a"), turn("assistant", "0", **mark), turn("user", "b"), turn("assistant", "1")]
    samples, intake = convert("messages", {"messages": chat})
    assert [sample.response for sample in samples] == [str(n) for n in targets]
    assert intake.repairs["replies not to train on, read as context"] == 2 - len(targets)
    if 1 in targets:
        assert len(samples[-1].context) == 3


CHAT = [{"messages": [turn("coach", "Well?"), turn("child", "I lost."), turn("coach", "Oh no."), turn("judge", "6")]}]


def test_an_unknown_role_is_a_bad_row_with_the_option_to_pass(write: Write) -> None:
    with pytest.raises(
        UserError, match=r"unknown role 'coach' at 'role': pass --role coach=speaker, =listener or =drop"
    ):
        list(open_source(write("a.jsonl", CHAT)))


def test_an_unknown_role_of_any_type_is_shown_whole_and_printable() -> None:
    for name in (7, {"a": 1}, "two words", "x\ny", "é" * 500):
        with pytest.raises(MalformedError, match="unknown role") as fault:
            turns_of([{"role": name, "content": "a"}], "role", "content", Intake())
        assert len(str(fault.value)) < 350
        assert str(fault.value).isprintable()


@pytest.mark.parametrize(
    ("name", "option"),
    [(7, "7"), ("two words", '"two words"'), ("小明", "小明"), ("a\nb", "NAME"), ("$(rm)", "NAME"), ("", "NAME")],
)
def test_the_option_for_an_unknown_role_can_be_pasted(name: object, option: str) -> None:
    with pytest.raises(MalformedError) as fault:
        turns_of([{"role": name, "content": "a"}], "role", "content", Intake())
    assert str(fault.value).endswith(f"pass --role {option}=speaker, =listener or =drop")


def test_roles_are_as_the_option_says(write: Write) -> None:
    roles = {"coach": "listener", "CHILD ": "speaker", "judge": "drop"}
    inspection = inspect_source(write("a.jsonl", CHAT), ReadingSettings(roles=roles))
    assert (inspection.samples, inspection.bad_rows) == (1, 0)
    assert inspection.examples[0].response == "Oh no."
    assert inspection.repairs == {"judge turns left out": 1, "opening listener turns left out": 1}


def test_the_option_wins_over_the_names_known_by_default(write: Write) -> None:
    path = write("a.jsonl", [{"dialog": [{"speaker": "sys", "text": "I am sad."}, {"speaker": "usr", "text": "Why?"}]}])
    [sample] = open_source(path, ReadingSettings(roles={"sys": "speaker", "usr": "listener"}))
    assert (sample.context[0].text, sample.response) == ("I am sad.", "Why?")


def test_a_role_map_that_maps_nothing_is_refused(write: Write) -> None:
    path = write("a.jsonl", [{"messages": [turn("user", "a"), turn("assistant", "b")]}])
    with pytest.raises(
        UserError, match=r"--role maps 'coach', but no turn has that role \(roles met: 'user', 'assistant'\)"
    ):
        inspect_source(path, ReadingSettings(roles={"user": "speaker", "coach": "listener"}))


CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["text", "image", "thinking"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "value", "parts", "image_url", "thinking"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    items=st.lists(
        st.fixed_dictionaries(
            {"role": CONTENT | st.sampled_from(["user", "assistant", "tool"]), "content": CONTENT},
            optional={"train": CONTENT, "weight": CONTENT, "tool_calls": CONTENT, "refusal": CONTENT},
        ),
        max_size=4,
    )
)
def test_any_list_of_messages_gives_turns_with_as_many_targets_or_a_fault(items: list[dict[str, Any]]) -> None:
    try:
        turns, targets = chat_of(items, "role", "content", Intake())
    except (MalformedError, LeftOutError):
        return
    assert all(isinstance(text, str) for _, text in turns)
    assert targets is None or len(targets) == len(turns)
