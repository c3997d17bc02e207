from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.moe.record import ComparisonRecord, RouterRecord
from efficient_empathy.modelling.training.record import TrainingRecord
from efficient_empathy.report.decision import by_model, by_subset, read_record
from trained_runs import write_comparison, write_json, write_routers, write_training

SUBSETS = ("sensibility", "rationality", "discard")


@pytest.mark.parametrize(
    ("kind", "write", "changed", "sentence"),
    [
        (TrainingRecord, lambda run, **c: write_training(run, "a", **c), {"version": 7}, "it has version 7"),
        (
            TrainingRecord,
            lambda run, **c: write_training(run, "a", **c),
            {"history": [{"step": 1, "loss": "low"}]},
            "(history.0.loss: Input should be a valid number",
        ),
        (
            TrainingRecord,
            lambda run, **c: write_training(run, "a", **c),
            {"held_out": [{"loss": {"all": 3.0}}]},
            "(held_out.0.step: ",
        ),
        (ComparisonRecord, write_comparison, {"models": []}, "(models: "),
        (RouterRecord, write_routers, {"usage": {"all": [[0.5, 0.5]]}}, "usage of all is not 6 layers"),
        (RouterRecord, write_routers, {"entropy": {"all": [0.1, 0.2]}}, "entropy of all has 2 layers"),
    ],
)
def test_what_cannot_be_understood_is_said_with_its_place(
    tmp_path: Path, kind: type, write: Callable[..., Path], changed: dict[str, Any], sentence: str
) -> None:
    path = write(Workspace(tmp_path), **changed)
    shown = read_record(path, kind, "file.json")
    assert isinstance(shown, str)
    assert shown.startswith("file.json cannot be shown (")
    assert sentence in shown


def test_a_record_is_read_by_the_class_that_wrote_it(tmp_path: Path) -> None:
    path = write_training(Workspace(tmp_path), "sensibility")
    record = read_record(path, TrainingRecord, "training.json")
    assert isinstance(record, TrainingRecord)
    assert json.loads(record.json_text()) == json.loads(path.read_text())


def test_files_that_are_no_json_or_are_missing(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_bytes(b'{"layers": 6, "exp')
    assert "half.json cannot be shown (Invalid JSON" in str(
        read_record(tmp_path / "half.json", RouterRecord, "half.json")
    )
    (tmp_path / "binary.json").write_bytes(b"\xff\x00\xfe")
    assert "cannot be shown" in str(read_record(tmp_path / "binary.json", RouterRecord, "binary.json"))
    assert "No such file" in str(read_record(tmp_path / "none.json", RouterRecord, "none.json"))
    path = write_json(tmp_path / "list.json", [])
    assert "list.json cannot be shown (Input should be" in str(read_record(path, RouterRecord, "list.json"))


def test_subsets_are_in_the_order_of_the_run_and_all_is_last() -> None:
    assert by_subset({"all", "zest", "discard", "sensibility"}, SUBSETS) == ["sensibility", "discard", "zest", "all"]
    assert by_subset({"zest", "calm"}, ("zest", "calm")) == ["zest", "calm"]


def test_models_are_in_the_order_of_the_comparison() -> None:
    names = {"moe", "average", "zephyr", "base", "moe_untrained", "sensibility", "union"}
    expected = ["base", "sensibility", "union", "average", "zephyr", "moe_untrained", "moe"]
    assert by_model(names, SUBSETS) == expected
