from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import (
    BadRowError,
    inspect_source,
    open_source,
    read_evaluations,
    write_samples,
)
from efficient_empathy.dialogues.settings import ReadingSettings
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
    [sample] = open_source(path, ReadingSettings(columns=columns))
    assert (sample.context[0].text, sample.response, sample.category) == ("hi", "hello", "joyful")
    [same] = open_source(path, ReadingSettings(columns=columns, format="table"))
    assert same == sample
    with pytest.raises(UserError, match=r"a\.csv:2: no column 'reply': there are 'question', 'answer', 'mood'"):
        open_source(path, ReadingSettings(columns={"context": "question", "response": "reply"}))


def test_unknown_rows_are_told_with_their_keys(write: Write) -> None:
    known = r"They have the columns 'x' \(number\), 'y' \(empty\): say which .* or pass --format \(samples,"
    with pytest.raises(UserError, match=rf"a\.jsonl: its rows are of no known format\. {known}"):
        open_source(write("a.jsonl", [{"x": 1, "y": None}]))


def test_messages_that_nothing_holds_together_are_told(write: Write) -> None:
    rows = [{"role": "user", "content": "I am sad."}, {"role": "assistant", "content": "Oh no."}]
    with pytest.raises(UserError, match=r"each row is one message .* pass --group-by NAME, or write .* a JSON array"):
        open_source(write("a.jsonl", rows))


def test_turns_with_unknown_keys_are_told_to_be_renamed(write: Write) -> None:
    turns = [{"who": "Ann", "said": "I am sad."}, {"who": "Bob", "said": "Oh no."}]
    with pytest.raises(
        UserError, match=r"'talk' \(list of objects with 'who', 'said'\): .* role and content.*: rename"
    ):
        open_source(write("a.jsonl", [{"talk": turns}, {"talk": turns}]))


def test_only_bad_rows_are_told_by_the_first(write: Write) -> None:
    with pytest.raises(UserError, match=r"no row that can be read; the first: .*a\.jsonl:1: not JSON"):
        open_source(write("a.jsonl", "{\n{}}\n{x}\n"))


def test_a_named_format_overrides_and_unfit_rows_are_bad(write: Write) -> None:
    path = write("a.jsonl", TABLE)
    assert open_source(path, ReadingSettings(format="judged")).format == "judged"
    source = open_source(path, ReadingSettings(format="messages", on_bad_row="skip"))
    assert not list(source)
    assert source.intake.bad_row_count == 2
    with pytest.raises(UserError, match="there is no format 'xml'"):
        open_source(path, ReadingSettings(format="xml"))


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
    faults = {
        "'evaluation' is missing": {"context": "a", "response": "b"},
        "'evaluation' is '5', not text": {"context": "a", "response": "b", "evaluation": 5},
        "'context' is missing": {"response": "b", "evaluation": "x"},
    }
    for reason, row in faults.items():
        with pytest.raises(BadRowError, match=reason):
            list(read_evaluations(write("a.jsonl", [row])))
    path = write("a.jsonl", [*faults.values(), {"context": "a", "response": "b", "evaluation": "c"}])
    assert [reply for _, reply in read_evaluations(path, ReadingSettings(on_bad_row="skip"))] == ["c"]


PAIR = [{"context": "hi", "response": "hello"}]
MESSAGES = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}]
ED = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance\na,1,sad,p,0,hi\na,2,sad,p,1,hello\n"


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_files_are_read_by_split_then_by_name(write: Write, tmp_path: Path) -> None:
    for name in ("b.jsonl", "test.jsonl", "a.jsonl.gz", "val-2.jsonl", "val-1.jsonl", "train.jsonl"):
        write(name, PAIR)
    for name, content in {
        "README.md": "# x",
        ".hidden": "x",
        "_SUCCESS": "",
        "metrics.csv": "a,b\n1,2\n",
        "x.bin": "x",
    }.items():
        write(name, content)
    source = open_source(tmp_path)
    assert names(source.files) == ["train.jsonl", "val-1.jsonl", "val-2.jsonl", "test.jsonl", "a.jsonl.gz", "b.jsonl"]
    assert names(source.skipped_files) == ["metrics.csv", "x.bin"]
    assert [sample.split for sample in source] == ["train", "valid", "valid", "test", None, None]
    assert [sample.source for sample in source] == names(source.files)


def test_the_official_files_are_read_alone(write: Write, tmp_path: Path) -> None:
    write("train.csv", ED)
    write("valid.csv.gz", ED)
    write("train_pairs.jsonl", PAIR)
    source = open_source(tmp_path)
    assert (source.format, names(source.files)) == ("empathetic-dialogues", ["train.csv", "valid.csv.gz"])
    assert names(source.skipped_files) == ["train_pairs.jsonl"]
    assert names(open_source(tmp_path, ReadingSettings(format="table")).files) == ["train_pairs.jsonl"]


def test_conversations_do_not_run_on_into_the_next_file(write: Write, tmp_path: Path) -> None:
    write("train.csv", ED)
    write("valid.csv", ED)
    assert [sample.turn for sample in open_source(tmp_path)] == [1, 1]


def test_different_formats_are_an_error_unless_one_is_named(write: Write, tmp_path: Path) -> None:
    write("a.jsonl", PAIR)
    write("b.jsonl", MESSAGES)
    with pytest.raises(UserError, match=r"a\.jsonl is table; b\.jsonl is messages\): pass one file, or --format"):
        open_source(tmp_path)
    assert names(open_source(tmp_path, ReadingSettings(format="messages")).files) == ["b.jsonl"]
    with pytest.raises(UserError, match=r"no file of the format esconv \(looked at a\.jsonl, b\.jsonl\)"):
        open_source(tmp_path, ReadingSettings(format="esconv"))


def test_a_broken_file_among_good_ones_is_not_passed_over(write: Write, tmp_path: Path) -> None:
    write("a.jsonl", PAIR)
    write("b.json", '[{"context": "hi"')
    with pytest.raises(UserError, match=r"b\.json: broken JSON"):
        open_source(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no file of a known format"):
        open_source(tmp_path)


def test_a_run_is_read_by_its_samples(write: Write, tmp_path: Path) -> None:
    write("manifest.json", '{"stages": {}}')
    write("ledger.sqlite", b"SQLite format 3\0" + b"\0" * 100)
    write("scores.parquet", b"PAR1")
    write_samples(open_source(write("table.jsonl", PAIR)), tmp_path / "samples.parquet")
    found = inspect_source(tmp_path)
    assert (found.format, names(found.files), found.samples) == ("samples", ["samples.parquet"], 1)
    assert names(found.skipped_files) == ["ledger.sqlite", "manifest.json", "scores.parquet", "table.jsonl"]
