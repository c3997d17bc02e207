from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.hub import HubId, hub_id
from efficient_empathy.foundation.errors import UserError

ROW = {"context": "hi", "response": "hello"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as the hub has it."""
    pytest.importorskip("datasets", reason="needs the extra hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    for split, count in {"train": 3, "validation": 2}.items():
        (folder / f"{split}.jsonl").write_text(
            "".join(json.dumps({**ROW, "emotion": "sad"}) + "\n" for _ in range(count))
        )
    return folder


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hub:org/name", HubId("org/name")),
        ("hub:org/name:test", HubId("org/name", "test")),
        ("facebook/empathetic_dialogues", HubId("facebook/empathetic_dialogues")),
        ("data/train.csv", None),
        ("name", None),
        ("/etc/nothing", None),
        ("../other/thing", None),
        ("tests/nothing", None),
    ],
)
def test_what_is_taken_for_a_hub_id(source: str, expected: HubId | None, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    assert hub_id(source) == expected


def test_all_splits_are_read_or_the_one_named(folder: Path) -> None:
    found = inspect_source(f"hub:{folder}")
    assert (found.format, found.split_counts, found.category_counts) == ("table", {"train": 3, "valid": 2}, {"sad": 5})
    source = open_source(f"hub:{folder}:validation")
    assert [sample.split for sample in source] == ["valid"] * 2
    assert (source.files, source.digest()) != ([], open_source(f"hub:{folder}").digest())
    with pytest.raises(UserError, match="has no split 'test': it has train, validation"):
        open_source(f"hub:{folder}:test")


def test_a_broken_data_set_is_a_users_error(folder: Path) -> None:
    (folder / "train.jsonl").write_text("{{{")
    with pytest.raises(UserError, match=r"cannot read hub:.* from the Hugging Face hub"):
        open_source(f"hub:{folder}")


def test_an_absent_data_set_is_a_users_error(folder: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read hub:.*nothing from the Hugging Face hub"):
        open_source(f"hub:{folder / 'nothing'}")


def test_without_the_extra_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        UserError, match=r"hub:org/name, which is not a file or folder here, .*efficient-empathy\[hub\]"
    ):
        open_source("org/name")
