from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from efficient_empathy import recipe
from efficient_empathy.cli import app


def test_without_the_training_extra_it_stops_after_the_selection_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tmp_path / "dialogues"
    few.mkdir()
    for file in recipe.DIALOGUES.glob("*.jsonl"):
        (few / file.name).write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:15]))
    monkeypatch.setattr(recipe, "DIALOGUES", few)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "trl" else found(name, *more))
    done = CliRunner().invoke(app, ["demo", "--run", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0, done.stderr
    assert list(json.loads(done.stdout)["stages"]) == ["score", "select", "sweep", "tune", "report"]
    assert 'pip install "efficient-empathy[train]"' in done.stderr
    assert 'id="sweep"' in (tmp_path / "run" / "report.html").read_text("utf-8")
    again = CliRunner().invoke(app, ["demo", "--run", str(tmp_path / "run")])
    assert f"studio {tmp_path / 'run'}" in again.stdout.splitlines()[-1]
