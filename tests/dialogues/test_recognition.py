from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import inspect_source, open_source, write_samples
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]
TABLE = [{"context": "hi", "response": "hello"}]
MESSAGES = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}]
ED = "conv_id,utterance_idx,context,prompt,speaker_idx,utterance\na,1,sad,p,0,hi\na,2,sad,p,1,hello\n"


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_files_are_read_by_split_then_by_name(write: Write, tmp_path: Path) -> None:
    for name in ("b.jsonl", "test.jsonl", "a.jsonl.gz", "val-2.jsonl", "val-1.jsonl", "train.jsonl"):
        write(name, TABLE)
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
    write("train_pairs.jsonl", TABLE)
    source = open_source(tmp_path)
    assert (source.format, names(source.files)) == ("empathetic-dialogues", ["train.csv", "valid.csv.gz"])
    assert names(source.skipped_files) == ["train_pairs.jsonl"]
    assert names(open_source(tmp_path, format="table").files) == ["train_pairs.jsonl"]


def test_conversations_do_not_run_on_into_the_next_file(write: Write, tmp_path: Path) -> None:
    write("train.csv", ED)
    write("valid.csv", ED)
    assert [sample.turn for sample in open_source(tmp_path)] == [1, 1]


def test_different_formats_are_an_error_unless_one_is_named(write: Write, tmp_path: Path) -> None:
    write("a.jsonl", TABLE)
    write("b.jsonl", MESSAGES)
    with pytest.raises(UserError, match=r"a\.jsonl is table; b\.jsonl is messages\): pass one file, or --format"):
        open_source(tmp_path)
    assert names(open_source(tmp_path, format="messages").files) == ["b.jsonl"]
    with pytest.raises(UserError, match=r"no file of the format esconv \(looked at a\.jsonl, b\.jsonl\)"):
        open_source(tmp_path, format="esconv")


def test_a_broken_file_among_good_ones_is_not_passed_over(write: Write, tmp_path: Path) -> None:
    write("a.jsonl", TABLE)
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
    write_samples(open_source(write("table.jsonl", TABLE)), tmp_path / "samples.parquet")
    found = inspect_source(tmp_path)
    assert (found.format, names(found.files), found.samples) == ("samples", ["samples.parquet"], 1)
    assert names(found.skipped_files) == ["ledger.sqlite", "manifest.json", "scores.parquet", "table.jsonl"]
