from __future__ import annotations

from pathlib import Path

import pytest

from efficient_empathy.report.records import (
    ComparisonRecord,
    GenerationRecord,
    RouterRecord,
    TrainingRecord,
    by_model,
    read_record,
)
from trained_runs import write_json


def said(tmp_path: Path, kind: type, content: object) -> str:
    path = write_json(tmp_path / "file.json", content)
    found = read_record(path, kind, "file.json")
    assert isinstance(found, str)
    return found


def test_losses_beside_the_step_are_read(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"held_out": [{"step": 0, "epoch": 0.0, "all": 3.5, "discard": None}]})
    found = read_record(path, TrainingRecord, "a.json")
    assert isinstance(found, TrainingRecord)
    assert found.held_out[0].loss == {"all": 3.5, "discard": None}


def test_null_is_as_good_as_absent(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"template": None, "backend": None, "decoding": None, "more": 1})
    assert read_record(path, GenerationRecord, "a.json") == GenerationRecord()


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (TrainingRecord, [], "file.json cannot be shown (Input should be"),
        (TrainingRecord, {"history": [{"step": 1, "loss": "low"}]}, "(history.0.loss: Input should be a valid number"),
        (TrainingRecord, {"held_out": [{"all": 3.0}]}, "(held_out.0.step: "),
        (ComparisonRecord, {"models": []}, "(models: "),
        (
            RouterRecord,
            {"layers": 2, "experts": ["a", "b"], "usage": {"all": [[0.5, 0.5]]}},
            "usage of all is not 2 layers",
        ),
        (RouterRecord, {"layers": 1, "experts": ["a"], "entropy": {"all": [0.1, 0.2]}}, "entropy of all has 2 layers"),
    ],
)
def test_what_cannot_be_understood_is_said_with_its_place(
    tmp_path: Path, kind: type, content: object, sentence: str
) -> None:
    assert sentence in said(tmp_path, kind, content)


def test_files_that_are_no_json_or_are_missing(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_bytes(b'{"layers": 6, "exp')
    assert "half.json cannot be shown (Invalid JSON" in str(
        read_record(tmp_path / "half.json", RouterRecord, "half.json")
    )
    (tmp_path / "binary.json").write_bytes(b"\xff\x00\xfe")
    assert "cannot be shown" in str(read_record(tmp_path / "binary.json", RouterRecord, "binary.json"))
    assert "No such file" in str(read_record(tmp_path / "none.json", RouterRecord, "none.json"))


def test_models_are_in_the_order_of_the_comparison() -> None:
    names = {"moe", "average", "zephyr", "base", "moe_untrained", "sensibility", "union"}
    assert by_model(names) == ["base", "sensibility", "union", "average", "zephyr", "moe_untrained", "moe"]
