from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import BadRowError, inspect_source, open_source, read
from efficient_empathy.dialogues.containers import json_file, opening
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]
ROW = {"context": "hi", "response": "hello"}
GOOD = json.dumps(ROW)


def reasons(path: Path) -> list[tuple[str, str]]:
    return [(bad.place.removeprefix(str(path)), bad.reason) for bad in inspect_source(path).bad_row_examples]


def test_lines_are_rows_and_blank_lines_are_none(write: Write) -> None:
    path = write("a.data", f"\n{GOOD}\r\n\n  \n{GOOD}")
    found = inspect_source(path)
    assert (found.format, found.samples, found.bad_rows, found.duplicates) == ("table", 2, 0, 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"context": "hi"', "not JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b"12", "is not a JSON object"),
        (b'{"context": "caf\xe9", "response": "x"}', "pass --encoding cp1252"),
        (b'{"context": "a\0b", "response": "x"}', "NUL byte"),
        (rb'{"context": "a\u0000b", "response": "x"}', "NUL byte"),
        (rb'{"context": "a\ud800b", "response": "x"}', "surrogate"),
        (b"[" * 100_000, "not usable JSON"),
        (b'{"turn": ' + b"1" * 5_000 + b"}", "not usable JSON"),
    ],
)
def test_a_bad_line_is_a_bad_row_with_its_number(write: Write, line: bytes, reason: str) -> None:
    path = write("a.jsonl", GOOD.encode() + b"\n" + line + b"\n" + GOOD.encode() + b"\n")
    [(place, why)] = reasons(path)
    assert place == ":2"
    assert reason in why
    with pytest.raises(BadRowError, match=r"a\.jsonl:2: "):
        read(path)


def test_a_bad_first_line_does_not_hide_the_format(write: Write) -> None:
    for bad in ("garbage", "{garbage", '{"a": 1'):
        path = write("a.jsonl", f"{bad}\n{GOOD}\n{GOOD}\n")
        assert reasons(path)[0][0] == ":1"
        assert inspect_source(path).samples == 2


def test_a_line_too_long_is_a_bad_row(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_LINE", 1_000)
    path = write("a.jsonl", f"{json.dumps({'context': 'x' * 5000, 'response': 'y'})}\n{GOOD}\n")
    assert reasons(path) == [(":1", "a line longer than 64 MB")]


@pytest.mark.parametrize("indent", [None, 0, 1, 4])
@pytest.mark.parametrize("count", [1, 2, 5_000])
def test_an_array_gives_its_rows(write: Write, indent: int | None, count: int) -> None:
    rows = [{"context": f"hi {i} ü", "response": "hello"} for i in range(count)]
    path = write("a.json", json.dumps(rows, indent=indent, ensure_ascii=False))
    assert [sample.context[0].text for sample in open_source(path)] == [row["context"] for row in rows]


def test_bad_elements_of_an_array_are_told_by_row(write: Write) -> None:
    path = write(
        "a.json", b"[" + GOOD.encode() + b', 7, {"context": "caf\xe9", "response": "x"}, ' + GOOD.encode() + b"]"
    )
    assert reasons(path) == [
        (":row 2", "'7' is not a JSON object"),
        (
            ":row 3",
            "not UTF-8; it looks like cp1252: pass --encoding cp1252, or the encoding that the file has",
        ),
    ]
    assert inspect_source(path).samples == 2


@pytest.mark.parametrize("ending", ["", ",", ', {"context": "h', "] []", "] x", ", ]", " " + GOOD + "]"])
def test_a_broken_array_is_a_users_error_that_names_file_and_position(write: Write, ending: str) -> None:
    path = write("a.json", f"[{GOOD}, {GOOD}{ending}")
    with pytest.raises(UserError, match=r"a\.json: (broken JSON.* character \d+|text after the end)"):
        inspect_source(path)


def test_an_element_without_end_stops_at_the_limit(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file, "MAX_LINE", 100_000)
    path = write("a.json", f'[{GOOD}, {{"context": "{"x" * 400_000}')
    with pytest.raises(UserError, match=r"row 2, which begins at character \d+: no end within"):
        inspect_source(path)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_lone_object_is_a_row_or_holds_rows(write: Write, indent: int | None) -> None:
    messages = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
    assert inspect_source(write("a.json", json.dumps(messages, indent=indent))).format == "messages"
    assert inspect_source(write("b.json", json.dumps({"version": 1, "data": [ROW, ROW]}, indent=indent))).samples == 2
    by_split = inspect_source(write("c.json", json.dumps({"train": [ROW], "val": [ROW, 3]}, indent=indent)))
    assert by_split.split_counts == {"train": 1, "valid": 1}
    assert by_split.bad_row_examples[0].place.endswith("c.json:'val' row 2")


def test_indented_objects_one_after_the_other_are_rows(write: Write) -> None:
    assert inspect_source(write("a.json", (json.dumps(ROW, indent=2) + "\n") * 3)).samples == 3


def test_a_truncated_object_is_a_users_error(write: Write) -> None:
    with pytest.raises(UserError, match=r"a\.json: broken JSON in row 1, which begins at character 1"):
        open_source(write("a.json", '{"context": "hi",\n"resp'))


def test_an_intake_that_skips_goes_on_after_a_bad_row(write: Write) -> None:
    source = open_source(write("a.jsonl", f"{GOOD}\n{{\n{GOOD}\n"), ReadingSettings(on_bad_row="skip"))
    assert len(list(source)) == 2
    assert len(list(source)) == 2
    assert source.intake.bad_row_count == 1, "a second pass counts anew"


MESSAGES = [{"role": "user", "content": "I am tired."}, {"role": "assistant", "content": "Long day?"}]


def test_an_array_of_messages_is_one_conversation(write: Write) -> None:
    [sample] = open_source(write("chat.json", json.dumps(MESSAGES)))
    assert (sample.context[0].text, sample.response) == ("I am tired.", "Long day?")


def test_messages_that_name_their_conversation_are_rows(write: Write) -> None:
    rows = [{**message, "conversation_id": name} for name in "ab" for message in MESSAGES]
    source = open_source(write("chats.json", json.dumps(rows)))
    assert (source.format, len({sample.dialogue_id for sample in source})) == ("message-rows", 2)
    path = write("cases.json", json.dumps([{**message, "case": name} for name in "ab" for message in MESSAGES]))
    with pytest.raises(UserError, match=r"pass --group-by case$"):
        open_source(path)
    assert len(list(open_source(path, ReadingSettings(group_by="case")))) == 2


def test_a_long_array_of_messages_is_not_taken_for_one_conversation(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "MAX_MESSAGES", 3)
    with pytest.raises(UserError, match="over 3 messages without a column that says which conversation"):
        open_source(write("chat.json", json.dumps(MESSAGES * 2)))


def test_an_object_of_dialogues_by_name_is_rows_with_these_ids(write: Write) -> None:
    log = [{"text": "I need a train.", "metadata": {}}, {"text": "Where to?", "metadata": {}}]
    source = open_source(write("data.json", json.dumps({"one.json": {"log": log}, "two.json": {"log": log}})))
    assert (source.format, [sample.dialogue_id for sample in source]) == ("utterances", ["one.json", "two.json"])
    with pytest.raises(UserError, match=r"'one\.json' \(object with 'log'\), 'version' \(number\)"):
        open_source(write("mixed.json", json.dumps({"one.json": {"log": log}, "version": 2})))


def test_an_object_with_messages_at_an_unknown_name_is_a_row(write: Write) -> None:
    path = write("chat.json", json.dumps({"title": "t", "talk": MESSAGES}, indent=1))
    with pytest.raises(UserError, match=r"'talk' \(list of objects with 'role', 'content'\).* --column messages=talk"):
        open_source(path)
    assert len(list(open_source(path, ReadingSettings(columns={"messages": "talk"})))) == 1


def test_files_that_were_joined_lose_their_marks(write: Write) -> None:
    inspection = inspect_source(write("a.jsonl", f"\ufeff{GOOD}\n\ufeff{GOOD}\n\ufeff\n{GOOD}\n"))
    assert (inspection.samples, inspection.bad_rows) == (3, 0)
    assert inspection.repairs == {"byte-order marks inside the file left out": 2}


def test_files_that_were_joined_without_a_line_end_are_told_where(write: Write) -> None:
    for mark in ("", "\ufeff"):
        [(place, reason)] = reasons(write("a.jsonl", f"{GOOD}\n{GOOD}{mark}{GOOD}\n"))
        assert place == ":2"
        assert reason == f"more than one JSON value (another begins at column {len(GOOD) + 1}): write one a line"
