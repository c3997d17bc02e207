import json
import re
from pathlib import Path

import yaml

import misbehaviours as does
from efficient_empathy.scoring import Rubric
from handbook_home import MIXING, TRAINING
from handbook_reader import ROOT, Reader
from misbehaving_server import MisbehavingServer
from tiny_models import tiny_model

README = ROOT / "README.md"
LESS = {
    "train": f"--base tiny {TRAINING}",
    "mix": MIXING,
    "generate": "--samples 4 --max-new-tokens 4",
    "run": "--set data.source=dialogues.jsonl --set train=null --set mix=null --set generate=null --set evaluate=null",
}
"""What is set for a command, so that it does the same on less; the whole recipe is run by `test_pipeline.py`."""


def test_every_command_and_the_python_of_the_readme_work_in_order(tmp_path: Path, monkeypatch) -> None:
    rubric = Rubric.load().model_dump(mode="json") | {"version": 2}
    tiny_model(tmp_path / "tiny")
    (tmp_path / "my-rubric.yaml").write_text(yaml.safe_dump(rubric), "utf-8")
    with MisbehavingServer(does.ok(json.dumps({"sensibility": 8, "rationality": 2}))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        reader = Reader(README, tmp_path, stands_for={"http://localhost:8000/v1": server.url}, less=LESS)
        results = reader.follow()
    assert len(results) >= 20
    assert reader.used == {*LESS}
    assert (tmp_path / "runs" / "mine" / "report.html").exists()


def test_the_readmes_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text("utf-8")):
        assert (README.parent / link).exists(), link
