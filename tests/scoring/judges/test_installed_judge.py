"""A judge that comes with another package: its entry point is all that is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

MODULE = '''
from typing import ClassVar
from efficient_empathy.scoring import Judgement, JudgeSpec
from efficient_empathy.scoring.judges.contract import JudgeSettings


class LengthSettings(JudgeSettings):
    """Scores by length."""

    FORMS: ClassVar = ("", ":UNIT")
    READS_RUBRIC: ClassVar = False
    REPEATS_ITSELF: ClassVar = True

    unit: int = 10
    """characters that count as one point."""

    @classmethod
    def from_detail(cls, detail):
        return {"unit": int(detail)}

    def build(self, context):
        return LengthJudge(context.rubric, self.unit)


class LengthJudge:
    name = "length"

    def __init__(self, rubric, unit):
        self.rubric, self.unit = rubric, unit
        self.spec = JudgeSpec(judge="length", rubric=rubric.hash, settings={"unit": unit})

    async def judge(self, samples):
        return [Judgement(s.id, "ok", self.name, self.rubric.hash, self.scores(s)) for s in samples]

    def scores(self, sample):
        points = min(10, len(sample.response) // self.unit)
        return dict.fromkeys(self.rubric.axis_names, float(points))
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages with one that brings the judge `length`, and a broken one."""
    folder = tmp_path / "site"
    info = folder / "length_judge-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "length_judge.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: length-judge\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[efficient_empathy.judges]\nlength = length_judge:LengthSettings\n")
    return folder


def run(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "efficient_empathy", *arguments]
    env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_it_is_used_by_name_with_its_option_and_its_help(site, tmp_path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": "x" * 20 * i}]}
        for i in range(1, 4)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    done = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "length", "--unit", "20", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["states"]["ok"] == 3
    assert pl.read_parquet(tmp_path / "r" / "scores.parquet")["sensibility"].to_list() == [1, 2, 3]
    again = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "length:10", "--json")
    assert again.returncode == 0, again.stderr
    assert pl.read_parquet(tmp_path / "r" / "scores.parquet")["sensibility"].to_list() == [2, 4, 6]
    refreshed = run(site, tmp_path, "refresh", "--run", "r", "--which", "all")
    assert refreshed.returncode == 1
    assert "length would only repeat itself" in " ".join(refreshed.stderr.split())
    text = " ".join(run(site, tmp_path, "score", "--help").stdout.split())
    assert "length: characters that count as one point." in text
    wrong = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "widht")
    assert "length:UNIT" in " ".join(wrong.stderr.split())


def test_a_recipe_names_it_too(site, tmp_path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\nscore:\n  judge: length\n  unti: 5\n")
    done = run(site, tmp_path, "run", "recipe.yaml")
    assert done.returncode == 1
    assert "unti is no key: did you mean unit?" in " ".join(done.stderr.split())


def test_a_judge_that_does_not_load_is_named_with_its_package(site, tmp_path) -> None:
    (site / "length_judge.py").write_text("import no_such_module\n")
    done = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "length")
    assert done.returncode == 1
    assert "the judge length of the package length-judge cannot be loaded" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
