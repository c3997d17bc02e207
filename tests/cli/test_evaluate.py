from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from evaluated_runs import answered_run
from misbehaving_server import MisbehavingServer


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "r.txt").write_text("oh no . that is hard .\nhow lovely !\n\n")
    (tmp_path / "a.txt").write_text("oh no .\nhow lovely for you\nwhat ?\n")
    (tmp_path / "b.txt").write_text("\ni see .\n\n")
    return tmp_path


def call(*options: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["evaluate", *map(str, options)])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def test_json_of_one_file_is_n_and_the_official_ten(files: Path) -> None:
    told = call("--predictions", files / "a.txt", "--references", files / "r.txt", "--metrics", "official", "--json")
    content = json.loads(told)
    assert set(content) == {"n", "metrics"}
    assert content["n"] == 3
    assert set(content["metrics"]) == {
        "bleu1", "bleu2", "bleu3", "bleu4", "dist1", "dist2", "rouge1", "rouge2", "rougeL", "cf1",
    }  # fmt: skip
    assert all(value == round(value, 6) for value in content["metrics"].values())


def test_several_files_come_with_models_and_tests_and_tables(files: Path) -> None:
    told = call(
        "--predictions", files / "a.txt", "--predictions", f"none={files}/b.txt", "--references", files / "r.txt",
        "--metrics", "official", "--resamples", "200", "--markdown", files / "t.md", "--latex", files / "t.tex",
        "-o", files / "t.json", "--json",
    )  # fmt: skip
    content = json.loads(told)
    assert set(content["metrics"]) == {"a", "none"}
    assert [model["name"] for model in content["models"]] == ["a", "none"]
    assert len(content["tests"]) == 10
    assert "| a | 3 |" in (files / "t.md").read_text()
    assert r"\bottomrule" in (files / "t.tex").read_text()
    assert json.loads((files / "t.json").read_text())["tests"] == content["tests"]


def test_a_run_is_told_in_words_and_once(tmp_path: Path) -> None:
    workspace = answered_run(tmp_path)
    options = ("--run", workspace.root, "--metrics", "official", "--resamples", "300")
    told = call(*options)
    assert "MoE, routers trained" in told
    assert "N = 60 responses in 30 dialogues of the test split." in told
    assert f"Written to {workspace.evaluation}" in told
    assert "(nothing had changed)" in call(*options)
    assert json.loads(call(*options, "--models", "moe", "--json"))["n"] == 60


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give --run RUN, or --predictions FILE"),
        (["--references", "r.txt"], "--references goes with --predictions"),
        (
            ["--predictions", "a.txt", "--references", "r.txt", "--models", "moe"],
            "there is no system 'moe' in the files",
        ),
        (["--predictions", "a.txt", "--references", "r.txt", "--metrics", "blue"], "there is no metric 'blue'"),
        (["--predictions", "a.txt", "--references", "r.txt", "--metrics", ","], "choose at least one"),
        (["--predictions", "a.txt", "--references", "r.txt", "--confidence", "2"], "confidence"),
        (["--predictions", "a.txt", "--references", "r.txt", "--baseline", "1"], "the baseline '1' is not among"),
        (["--run", "empty"], "no model has answered"),
        (["--run", "nowhere"], "is no run's folder"),
    ],
)
def test_an_error_says_what_to_type(files: Path, monkeypatch, options: list[str], said: str) -> None:
    monkeypatch.chdir(files)
    (files / "empty").mkdir()
    assert said in " ".join(call(*options, code=1).split())


def test_where_the_judge_of_quality_never_says_a_score_the_command_fails_and_says_why(tmp_path: Path) -> None:
    workspace = answered_run(tmp_path, ("moe", "base"), dialogues=2)
    options = ["--run", workspace.root, "--metrics", "texts,quality", "--model", "m", "--resamples", "50"]
    with MisbehavingServer(does.prose()) as server:
        said = call(*options, "--base-url", server.url, "--max-tokens", "33", code=1)
    assert "quality has no figure, since all 8 judgements failed: 8 ×" in " ".join(said.split())
    assert json.loads(workspace.evaluation.read_text())["models"]
    assert {body["max_tokens"] for body in server.requests} == {33}


def test_where_the_judge_of_quality_says_some_scores_the_command_succeeds(tmp_path: Path) -> None:
    workspace = answered_run(tmp_path, ("moe", "base"), dialogues=2)
    options = ["--run", workspace.root, "--metrics", "quality", "--model", "m", "--resamples", "50", "--json"]
    good = does.ok(json.dumps({"naturalness": 3, "coherence": 2, "empathy": 1}))
    with MisbehavingServer(lambda body, number: does.prose() if number % 2 else good) as server:
        metrics = json.loads(call(*options, "--base-url", server.url))["metrics"]
    assert 0 < metrics["moe"]["quality_judged"] < 100
