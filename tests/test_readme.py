import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring import Rubric
from misbehaving_server import MisbehavingServer

README = Path(__file__).parents[1] / "README.md"
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    for line in block.splitlines()
]
QUICKLY = {
    "train": "max_steps=2 batch_size=8 evaluate_every=0 max_held_out=8",
    "mix": "max_samples=16",
    "run": "data.source=dialogues.jsonl train=null mix=null generate=null evaluate=null",
}
"""What is set for a command, so that it does the same on less; the whole recipe is run by `test_pipeline.py`."""
PYTHON = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder with a user's dialogues and rubric."""
    where = tmp_path_factory.mktemp("user")
    lines = (DIALOGUES / "train.jsonl").read_bytes().splitlines(keepends=True)
    (where / "dialogues.jsonl").write_bytes(b"".join(lines[:40]))
    (where / "my-rubric.yaml").write_text(
        yaml.safe_dump(Rubric.load().model_dump(mode="json") | {"version": 2}), "utf-8"
    )
    (where / "references.txt").write_text("that is so sad .\nwhat happened ?\n", "utf-8")
    (where / "responses.txt").write_text("That is sad.\nOh no, what happened?\n", "utf-8")
    return where


def test_every_command_of_the_readme_works_in_order(folder, monkeypatch) -> None:
    assert len(COMMANDS) >= 9
    monkeypatch.chdir(folder)
    with MisbehavingServer(does.ok(json.dumps({"sensibility": 8, "rationality": 2}))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        for command in COMMANDS:
            program, *arguments = shlex.split(command.replace("http://localhost:8000/v1", server.url))
            assert program == "efficient-empathy"
            arguments += [part for change in QUICKLY.get(arguments[0], "").split() for part in ("--set", change)]
            arguments += ["--samples", "4"] if arguments[0] == "generate" else []
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, (command, done.output)
    assert (folder / "runs" / "mine" / "report.html").exists()


def test_the_python_of_the_readme_works(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    for block in PYTHON:
        exec(block, {})


def test_the_readmes_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text("utf-8")):
        assert (README.parent / link).exists(), link
