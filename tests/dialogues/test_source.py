from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import BadRowError, Intake, inspect_source, open_source, read_evaluations
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]
TABLE = [{"context": "hi", "response": "hello"}, {"context": "a", "response": "b"}]


def test_a_source_says_what_it_is_and_reads_lazily(write: Write) -> None:
    path = write("train.jsonl", [*TABLE, {"context": "a"}])
    source = open_source(str(path))
    assert (source.format, source.files, source.skipped_files) == ("table", [path], [])
    samples = iter(source)
    assert next(samples).response == "hello"
    assert next(samples).response == "b"
    with pytest.raises(BadRowError, match=r"train\.jsonl:3: 'response' is missing\. .*--on-bad-row skip"):
        next(samples)


def test_columns_may_have_other_names(write: Write) -> None:
    path = write("a.csv", "question,answer,mood\nhi,hello,joyful\n")
    columns = {"context": "question", "response": "answer", "category": "mood"}
    [sample] = open_source(path, columns=columns)
    assert (sample.context[0].text, sample.response, sample.category) == ("hi", "hello", "joyful")
    [same] = open_source(path, columns=columns, format="table")
    assert same == sample
    with pytest.raises(UserError, match=r"a\.csv:2: no column 'reply': there are 'question', 'answer', 'mood'"):
        open_source(path, columns={"context": "question", "response": "reply"})


def test_unknown_rows_are_told_with_their_keys(write: Write) -> None:
    with pytest.raises(
        UserError, match=r"a\.jsonl: its rows are of no known format \(keys: 'x', 'y'\): pass --format \(samples,"
    ):
        open_source(write("a.jsonl", [{"x": 1, "y": 2}]))


def test_only_bad_rows_are_told_by_the_first(write: Write) -> None:
    with pytest.raises(UserError, match=r"no row that can be read; the first: .*a\.jsonl:1: not JSON"):
        open_source(write("a.jsonl", "{\n{}}\n{x}\n"))


def test_a_named_format_overrides_and_unfit_rows_are_bad(write: Write) -> None:
    path = write("a.jsonl", TABLE)
    assert open_source(path, format="judged").format == "judged"
    intake = Intake("skip")
    assert not list(open_source(path, format="messages", intake=intake))
    assert intake.bad_row_count == 2
    with pytest.raises(UserError, match="there is no format 'xml'"):
        open_source(path, format="xml")


@pytest.mark.parametrize("name", ["nothing.jsonl", "no/such/file.csv", "a\0b", "x" * 5_000, ""])
def test_a_source_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        open_source(f"{tmp_path}/none/{name}")


def test_an_empty_name_is_not_the_folder_at_hand() -> None:
    with pytest.raises(UserError, match="is not found"):
        open_source("")


def test_the_digest_is_that_of_the_bytes(write: Write, tmp_path: Path) -> None:
    path = write("a.jsonl", TABLE)
    assert open_source(path).digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    before = open_source(tmp_path).digest()
    write("b.jsonl", TABLE)
    assert open_source(tmp_path).digest() != before


def test_duplicates_have_one_id_in_any_file(write: Write) -> None:
    path = write("a.jsonl", [*TABLE, *TABLE, TABLE[0]])
    found = inspect_source(path)
    assert (found.samples, found.duplicates) == (5, 3)


def test_a_stream_is_to_be_written_to_a_file_first(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for stream in ("-", "/dev/null", str(tmp_path / "pipe")):
        with pytest.raises(UserError, match=f"{stream} cannot be read: .* write it to a file first"):
            open_source(stream)
    code = "from efficient_empathy.dialogues import open_source; open_source('/dev/stdin')"
    done = subprocess.run([sys.executable, "-c", code], input=b"{}", capture_output=True, timeout=60)
    assert b"write it to a file first" in done.stderr


def test_replies_stand_beside_their_samples(write: Callable[..., Path]) -> None:
    rows = [
        {"context": "a", "response": "b", "evaluation": " - Rationality: 5\n"},
        {"context": "c", "response": "d", "evaluation": ""},
    ]
    path = write("a.jsonl", rows)
    found = list(read_evaluations(path))
    assert [reply for _, reply in found] == [" - Rationality: 5\n", ""]
    assert [sample for sample, _ in found] == list(open_source(path))


def test_a_row_without_a_reply_is_a_bad_row(write: Callable[..., Path]) -> None:
    rows = [
        {"context": "a", "response": "b"},
        {"context": "a", "response": "b", "evaluation": 5},
        {"response": "b", "evaluation": "x"},
    ]
    path = write("a.jsonl", rows)
    with pytest.raises(BadRowError, match="'evaluation' is missing"):
        list(read_evaluations(path))
    intake = Intake("skip")
    assert list(read_evaluations(path, intake=intake)) == []
    assert [bad.reason for bad in intake.bad_rows] == [
        "'evaluation' is missing",
        "'evaluation' is '5', not text",
        "'context' is missing",
    ]
