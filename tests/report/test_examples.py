from __future__ import annotations

from pathlib import Path

import pytest

from efficient_empathy.report import examples as module
from efficient_empathy.report.run import Run
from efficient_empathy.selection import select
from efficient_empathy.workspace import Workspace
from scored_runs import numbered, write_run


def shown(workspace: Workspace) -> dict[str, list[str]]:
    return {subset: [e.sample.id for e in found] for subset, found in module.examples(Run(workspace)).items()}


def test_examples_come_from_as_many_categories_as_there_are(tmp_path: Path) -> None:
    samples = [numbered(i, "common" if i % 20 else f"rare {i}") for i in range(400)]
    workspace = write_run(tmp_path / "run", samples, {"sensibility": [8.0] * 400, "rationality": [2.0] * 400})
    select(workspace)
    found = module.examples(Run(workspace))["sensibility"]
    assert len({e.category for e in found}) == module.EXAMPLES


def test_a_category_repeats_when_all_had_their_turn(tmp_path: Path) -> None:
    samples = [numbered(i, ["a", "b"][i % 2]) for i in range(40)]
    workspace = write_run(tmp_path / "run", samples, {"sensibility": [8.0] * 40, "rationality": [2.0] * 40})
    select(workspace)
    found = [e.category for e in module.examples(Run(workspace))["sensibility"]]
    assert sorted(found) in (["a", "a", "a", "b", "b"], ["a", "a", "b", "b", "b"])


def test_the_choice_hangs_on_the_seed_and_neither_on_order_nor_on_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [numbered(i, f"c{i % 7}") for i in range(300)]
    scores = {"sensibility": [float(i % 11) for i in range(300)], "rationality": [float(i % 7) for i in range(300)]}
    workspace = write_run(tmp_path / "one", samples, scores)
    select(workspace)
    first = shown(workspace)
    monkeypatch.setattr(module, "BATCH", 13)
    assert shown(workspace) == first
    turned = write_run(tmp_path / "two", samples[::-1], {axis: values[::-1] for axis, values in scores.items()})
    select(turned)
    assert shown(turned) == first
    select(workspace, seed=1)
    assert shown(workspace) != first


def test_a_repeated_sample_is_shown_once(tmp_path: Path) -> None:
    workspace = write_run(tmp_path / "run", [numbered(1)] * 9, {"sensibility": [8.0] * 9, "rationality": [2.0] * 9})
    select(workspace)
    assert len(shown(workspace)["sensibility"]) == 1
