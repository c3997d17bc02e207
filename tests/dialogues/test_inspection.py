from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import BadRowError, DistinctCounter, inspect_source
from efficient_empathy.dialogues.inspection import as_record, as_text
from efficient_empathy.dialogues.settings import ReadingSettings

Write = Callable[..., Path]


def test_everything_is_counted_in_one_pass(write: Write) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    more = [*turns, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]
    rows = [
        {"messages": turns, "category": "sad"},
        {"messages": more, "split": "test"},
        {"messages": []},
        {"messages": more},
    ]
    found = inspect_source(write("a.jsonl", rows))
    assert (found.format, found.samples, found.conversations, found.duplicates) == ("messages", 5, 2, 3)
    assert found.category_counts == {"sad": 1}
    assert found.split_counts == {"test": 2}
    assert found.repairs == {"running turns merged": 3}
    assert found.bad_rows == 1
    assert found.bad_row_examples[0].place.endswith("a.jsonl:3")
    assert [sample.response for sample in found.examples] == ["a\nb", "a\nb", "d"]


def test_bad_rows_stop_it_if_the_intake_says_so(write: Write) -> None:
    with pytest.raises(BadRowError):
        inspect_source(write("a.jsonl", [{"context": "a", "response": "b"}, {}]), ReadingSettings())


def chat(path, *rows: object):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def turns(*texts: str, **rest: str) -> dict:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)], **rest}


def test_the_text_shows_counts_repairs_bad_rows_and_samples(tmp_path) -> None:
    source = chat(
        tmp_path / "c.jsonl",
        turns("I won!", "Hooray!\nTell me more.", category="joyful"),
        turns("I lost.", "x" * 300, category="sad"),
        {"messages": 7},
    )
    text = as_text(inspect_source(source))
    assert "Samples        2" in text
    assert "2: joyful 1, sad 1" in text
    assert "c.jsonl:3" in text
    assert "→ Listener: Hooray! Tell me more." in text
    assert "(100 more characters)" in text


def test_the_record_is_json_with_counts(tmp_path) -> None:
    record = as_record(inspect_source(chat(tmp_path / "c.jsonl", turns("Hi", "Ho"), turns("Hi", "Ho"), {})))
    assert json.loads(json.dumps(record)) == record
    assert (record["samples"], record["categories"], record["bad_rows"], record["duplicates"]) == (2, 0, 1, 1)
    assert record["examples"][0]["response"] == "Ho"


def test_equal_texts_count_once() -> None:
    distinct = DistinctCounter()
    assert distinct.count() == 0
    for text in ("a", "b", "", "a", "ä", "\ud800", "b"):
        distinct.add(text)
    assert distinct.count() == 5
    distinct.add("c")
    assert distinct.count() == 6


def test_a_text_takes_8_bytes() -> None:
    distinct = DistinctCounter()
    tracemalloc.start()
    for number in range(100_000):
        distinct.add(f"conversation {number % 90_000}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 10 * 100_000
    assert distinct.count() == 90_000


def test_samples_that_look_as_if_they_held_personal_data_are_counted(write: Write) -> None:
    rows = [
        {"context": "Write to ana@example.org.", "response": "I will."},
        {"context": "Ring 212-555-0123 or 202-555-0104.", "response": "Is ana@example.org yours?"},
        {"context": "We met on 2019-10-12 @ 5pm.", "response": "How lovely!"},
    ]
    inspection = inspect_source(write("a.jsonl", rows))
    record = as_record(inspection)
    assert (record["personal_data"], record["personal_samples"]) == ({"email": 2, "phone": 1}, 2)
    line = "Personal data  2 samples look as if they held some: e-mail addresses 2, phone numbers 1"
    assert line in as_text(inspection).splitlines()
    clean = as_text(inspect_source(write("b.jsonl", rows[2:])))
    assert "Personal data  no sample looks as if it held any" in clean
