from __future__ import annotations

from pathlib import Path

import pytest

from efficient_empathy.dialogues.rows import (
    MalformedError,
    Row,
    label_of,
    list_of,
    split_in_name,
    split_of,
    text_of,
    turn_of,
)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv.gz", "train"),
        ("val_results.json", "valid"),
        ("validation-00000-of-00001.parquet", "valid"),
        ("dev.jsonl", "valid"),
        ("ed_TEST.jsonl", "test"),
        ("contest.jsonl", None),
        ("data.csv", None),
    ],
)
def test_a_files_name_tells_its_split(name: str, split: str | None) -> None:
    assert split_in_name(Path("train") / name) == split


def test_a_rows_own_split_goes_before_the_files() -> None:
    assert split_of(Row("", {"split": "Validation"}, split="train")) == "valid"
    assert split_of(Row("", {"split": "holdout"}, split="train")) == "holdout"
    assert split_of(Row("", {"split": ""}, split="train")) == "train"


def test_faults_name_the_key() -> None:
    for call in (
        lambda: text_of({}, "key"),
        lambda: text_of({"key": None}, "key"),
        lambda: text_of({"key": 3}, "key"),
        lambda: list_of({"key": "no list"}, "key"),
        lambda: turn_of({"key": -1}, "key"),
        lambda: turn_of({"key": True}, "key"),
        lambda: turn_of({"key": 2**31}, "key"),
        lambda: turn_of({"key": "1.5"}, "key"),
    ):
        with pytest.raises(MalformedError, match="'key'"):
            call()


def test_labels_and_turns_may_be_numbers_or_absent() -> None:
    assert label_of({"a": "", "b": 0}, ["a", "b"]) == "0"
    assert label_of({"a": " "}, ["a"]) is None
    assert (turn_of({"turn": "12"}), turn_of({"turn": 3}), turn_of({"turn": ""}), turn_of({})) == (12, 3, None, None)
    assert list_of({"key": '["a", 1]'}, "key") == ["a", 1]
