from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import BadRowError, inspect_source, open_source
from efficient_empathy.dialogues.formats import gathering
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

Convert = Callable[..., Any]
Write = Callable[..., Path]


def rows_of(conversation: str, *texts: str, **more: Any) -> list[dict[str, Any]]:
    roles = ["user", "assistant"] * len(texts)
    return [
        {"conversation_id": conversation, "role": role, "content": text, **more}
        for role, text in zip(roles, texts, strict=False)
    ]


def texts(sample: Any) -> list[str]:
    return [*(turn.text for turn in sample.context), sample.response]


ANN, BOB = rows_of("ann", "I lost.", "Oh no.", "Twice.", "Oh dear."), rows_of("bob", "I won!", "Well done.")


def test_rows_of_two_conversations_may_alternate(convert: Convert) -> None:
    samples, intake = convert("message-rows", ANN[0], BOB[0], ANN[1], BOB[1], ANN[2], ANN[3])
    assert [sample.dialogue_id for sample in samples] == ["ann", "ann", "bob"]
    assert texts(samples[1]) == ["I lost.", "Oh no.", "Twice.", "Oh dear."]
    assert not intake.repairs


@pytest.mark.parametrize(
    "column",
    [
        ("turn", [0, 1, 2, 3]),
        ("index", ["8", "9", "10", "11"]),
        ("timestamp", [1.5e9, 1.5e9 + 1, 1.5e9 + 2, 1.5e9 + 2]),
        ("created_at", ["2025-01-01T09:00:00Z", "2025-01-01T10:00:00+00:00", "2025-01-01 11:00", "2025-01-02"]),
    ],
)
def test_an_order_column_puts_the_rows_in_order(convert: Convert, column: tuple[str, list[Any]]) -> None:
    name, places = column
    rows = [{**row, name: place} for row, place in zip(ANN, places, strict=True)]
    samples, intake = convert("message-rows", rows[2], rows[0], rows[3], rows[1])
    assert texts(samples[-1]) == ["I lost.", "Oh no.", "Twice.", "Oh dear."]
    assert intake.repairs == {"conversations put in order": 1}


def test_an_order_that_some_rows_lack_leaves_the_files_order(convert: Convert) -> None:
    rows = [{**row, "turn": place} for row, place in zip(ANN, [3, None, 1, 0], strict=True)]
    samples, intake = convert("message-rows", *rows)
    assert texts(samples[-1]) == ["I lost.", "Oh no.", "Twice.", "Oh dear."]
    assert not intake.repairs


def test_an_id_that_comes_back_with_the_same_turns_is_refused(convert: Convert) -> None:
    rows = [{**row, "turn": turn} for row, turn in zip([*ANN[:2], *ANN[2:]], [0, 1, 0, 1], strict=True)]
    samples, intake = convert("message-rows", *rows)
    assert samples == []
    assert "its id comes back: 'user' has the turn '0' twice, again at file:3" in intake.bad_rows[0].reason


def test_voices_may_share_a_turn_and_write_twice_in_it(convert: Convert) -> None:
    shared = [{**row, "turn": turn} for row, turn in zip(ANN, [1, 1, 0, 0], strict=True)]
    samples, _ = convert("message-rows", *shared)
    assert texts(samples[-1]) == ["Twice.", "Oh dear.", "I lost.", "Oh no."]
    twice = [{**row, "turn": turn} for row, turn in zip([ANN[0], *ANN[:2]], [0, 0, 1], strict=True)]
    samples, intake = convert("message-rows", *twice)
    assert texts(samples[-1]) == ["I lost.\nI lost.", "Oh no."]
    assert intake.repairs == {"running turns merged": 1}


def test_category_and_split_may_stand_on_any_row(convert: Convert) -> None:
    samples, _ = convert("message-rows", ANN[0], {**ANN[1], "category": "sad", "split": "val"}, *ANN[2:])
    assert {(sample.category, sample.split) for sample in samples} == {("sad", "valid")}


def test_group_by_names_the_column_and_columns_the_rest(write: Write) -> None:
    rows = [{"case": 7, "who": row["role"], "said": row["content"]} for row in ANN]
    columns = {"role": "who", "content": "said"}
    source = open_source(write("a.jsonl", rows), ReadingSettings(group_by="case", columns=columns))
    samples = list(source)
    assert (source.format, len(samples), samples[0].dialogue_id) == ("message-rows", 2, "7")


def test_the_common_shape_is_recognised_in_csv(write: Write) -> None:
    lines = [f"{row['conversation_id']},{row['role']},{row['content']}" for row in [*ANN, *BOB]]
    inspection = inspect_source(write("a.csv", "\n".join(["Conversation_ID,Sender,Message", *lines])))
    assert (inspection.format, inspection.samples, inspection.conversations) == ("message-rows", 3, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group_by": "cases"}, "--group-by cases: there is no such column, but 'case', 'who', 'said'"),
        (
            {"group_by": "case"},
            r"no column says who wrote a message \(--column role=NAME\): there are 'case', 'who', 'said'",
        ),
        (
            {"group_by": "case", "columns": {"role": "who"}},
            r"no column says what a message says \(--column content=NAME\)",
        ),
        ({"group_by": "case", "format": "table"}, "--group-by is for the format message-rows, not table"),
    ],
)
def test_a_column_that_is_missing_is_named(write: Write, settings: dict[str, Any], message: str) -> None:
    path = write("a.jsonl", [{"case": 7, "who": "user", "said": "hi"}])
    with pytest.raises(UserError, match=message):
        list(open_source(path, ReadingSettings(**settings)))


def test_group_by_does_not_turn_whole_conversations_into_messages(write: Write) -> None:
    path = write("a.jsonl", [{"id": 1, "messages": [{"role": "user", "content": "hi"}]}])
    with pytest.raises(UserError, match="these are of the format messages: leave it out"):
        open_source(path, ReadingSettings(group_by="id"))


def test_a_row_without_a_conversation_and_an_unknown_role_are_bad(convert: Convert) -> None:
    samples, intake = convert("message-rows", {**ANN[0], "conversation_id": None}, *BOB, {**ANN[0], "role": "robot"})
    assert len(samples) == 1
    reasons = [row.reason for row in intake.bad_rows]
    assert "'conversation_id', which names the conversation, is empty" in reasons[0]
    assert "unknown role 'robot'" in reasons[1]


def test_rows_too_far_apart_are_refused_not_read_as_two_conversations(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MAX_ROWS", 10)
    monkeypatch.setattr(gathering, "_MERGED_AT", 3)
    others = [row for name in range(20) for row in rows_of(str(name), "Hi.", "Hello.")]
    path = write("a.jsonl", [*ANN[:2], *others, *ANN[2:]])
    with pytest.raises(
        BadRowError, match=r"a\.jsonl:43: the conversation 'ann' goes on here, too far .* sort the file"
    ):
        list(open_source(path))
    assert len(list(open_source(path, ReadingSettings(on_bad_row="skip")))) == 21


def test_a_column_that_names_no_conversation_is_told(convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_ROWS", 10)
    samples, intake = convert("message-rows", *rows_of("all", *["Hi.", "Hello."] * 20))
    assert samples == []
    assert "a conversation of 40 rows: is 'conversation_id' the column" in intake.bad_rows[0].reason


def test_any_order_gives_the_same_samples(write: Write) -> None:
    rows = [
        {**row, "turn": turn}
        for name in range(300)
        for turn, row in enumerate(rows_of(str(name), f"I am {name}.", "Hello.", "Bye.", "Come again."))
    ]
    in_order = {sample.id for sample in open_source(write("a.jsonl", rows))}
    random.Random(1).shuffle(rows)
    assert {sample.id for sample in open_source(write("b.jsonl", rows))} == in_order
