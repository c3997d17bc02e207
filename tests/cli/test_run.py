from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from efficient_empathy.cli import app
from efficient_empathy.recipe import DIALOGUES


def test_a_recipe_runs_with_keys_set_on_the_way(tmp_path: Path) -> None:
    lines = (DIALOGUES / "train.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "few.jsonl").write_text("".join(lines[:20]), "utf-8")
    recipe = f"name: mine\ndata: {{source: {tmp_path / 'few.jsonl'}}}\nselect: {{}}\n"
    (tmp_path / "mine.yaml").write_text(recipe, "utf-8")
    command = ["run", str(tmp_path / "mine.yaml"), "--run", str(tmp_path / "run"), "--set", "select.policy=exclusive"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["stages"]["select"]["policy"] == "exclusive"
    assert (tmp_path / "run" / "report.html").exists()
    assert "[2/3] select" in done.stderr


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nselct: {}\n", "utf-8")
    done = CliRunner().invoke(app, ["run", str(tmp_path / "mine.yaml")])
    assert done.exit_code == 1
    assert "selct is no key: did you mean select?" in " ".join(done.stderr.split())
    assert CliRunner().invoke(app, ["run", "demo", "--set", "epochs"]).exit_code == 1
