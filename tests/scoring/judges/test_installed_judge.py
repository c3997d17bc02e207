"""A judge that comes with another package: its entry point is all that is needed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest

from forked_command import ForkedCommand

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


def run(site: Path, cwd: Path, *arguments: str) -> tuple[int | None, str, str]:
    """What a command comes to where the packages of `site` are installed: its exit status, and what it says."""
    places = f"import sys\nsys.path.insert(0, {str(site)!r})"
    command = ForkedCommand(*arguments, cwd=cwd, env={**os.environ, "COLUMNS": "200"}, before=places)
    out, err = command.communicate(timeout=120)
    return command.returncode, out, " ".join(err.split())


def test_it_is_used_by_name_with_its_option_and_its_help(site, tmp_path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": "x" * 20 * i}]}
        for i in range(1, 4)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    status, out, err = run(
        site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "length", "--unit", "20", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["states"]["ok"] == 3
    assert pl.read_parquet(tmp_path / "r" / "scores.parquet")["sensibility"].to_list() == [1, 2, 3]
    status, _, err = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "length:10", "--json")
    assert status == 0, err
    assert pl.read_parquet(tmp_path / "r" / "scores.parquet")["sensibility"].to_list() == [2, 4, 6]
    status, _, err = run(site, tmp_path, "refresh", "--run", "r", "--which", "all")
    assert status == 1
    assert "length would only repeat itself" in err
    _, out, _ = run(site, tmp_path, "score", "--help")
    assert "length: characters that count as one point." in " ".join(out.split())
    _, _, err = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "widht")
    assert "length:UNIT" in err


def test_a_recipe_names_it_too(site, tmp_path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\nscore:\n  judge: length\n  unti: 5\n")
    status, _, err = run(site, tmp_path, "run", "recipe.yaml")
    assert status == 1
    assert "unti is no key: did you mean unit?" in err


def test_a_judge_that_does_not_load_is_named_with_its_package(site, tmp_path) -> None:
    (site / "length_judge.py").write_text("import no_such_module\n")
    status, _, err = run(site, tmp_path, "score", "chat.jsonl", "--run", "r", "--judge", "length")
    assert status == 1
    assert "the judge length of the package length-judge cannot be loaded" in err
    assert "Traceback" not in err
