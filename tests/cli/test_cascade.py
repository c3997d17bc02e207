"""`cascade` as it is typed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from misbehaving_server import MisbehavingServer
from predicted_runs import PredictedRun, predicted  # noqa: F401

HERE = ["--error", "0.15", "--check", "20"]


def cascade(given: PredictedRun, run, *options: str):
    return CliRunner().invoke(app, ["cascade", str(given.source), "--run", str(run), *options])


def test_it_says_what_it_plans_what_it_guaranteed_and_what_it_found(predicted, tmp_path) -> None:  # noqa: F811
    run = predicted.copy(tmp_path / "run").root
    with MisbehavingServer(predicted.expert()) as server:
        expert = ["--expert", f"openai:gpt-4o-mini@{server.url}"]
        dry = cascade(predicted, run, *HERE, *expert, "--dry-run")
        assert dry.exit_code == 0
        assert "Plan: judge about" in dry.stderr
        assert not server.requests
        done = cascade(predicted, run, *HERE, *expert, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["cascade"]
    assert told["goal"] == "the wrong subset for at most 15 % of all"
    assert told["check"]["checked"] == 20
    words = cascade(predicted, run, *HERE, *expert)
    assert "of the judgements saved" in words.stdout
    assert "Checked on 20 others drawn at random" in words.stdout
    assert f"Next: efficient-empathy select --run {run}" in words.stdout


def test_a_model_is_enough_to_name_the_expert(predicted, tmp_path) -> None:  # noqa: F811
    run = predicted.copy(tmp_path / "run").root
    with MisbehavingServer(predicted.expert()) as server:
        done = cascade(predicted, run, *HERE, "--model", "gpt-4o-mini", "--base-url", server.url, "--refit", "1")
    assert done.exit_code == 0, done.stderr
    assert "Round 1:" in done.stderr


def test_steps_are_named_in_turn_and_planned_in_dollars(predicted, tmp_path) -> None:  # noqa: F811
    run = predicted.copy(tmp_path / "run").root
    steps = ["--step", "distilled", "--step", "openai:gpt-4o-mini", "--model", "gpt-4o"]
    with MisbehavingServer(predicted.expert()) as server:
        plan = cascade(predicted, run, *HERE, *steps, "--base-url", server.url, "--dry-run", "--json")
        assert not server.requests
    assert plan.exit_code == 0, plan.stderr
    content = json.loads(plan.stdout)
    assert content["steps"][0]["judge"] == "gpt-4o-mini"
    assert 0 < content["plan"]["cost_usd"] < content["plan"]["all_usd"]
    assert "instead of $" in plan.stderr


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (["--model", "gpt-4o", "--step", "openai:gpt-4o-mini"], 1, "the first step is distilled"),
        ([], 1, "the judge openai needs --model"),
        (["--expert", "someone"], 1, "names no judge"),
        (["--expert", "distilled", "--f1", ".9", "--error", ".1"], 1, "ask for one"),
        (["--expert", "distilled", "--f1", ".9", "--subset", "both"], 1, "no subset both"),
        (["--expert", "distilled", "--calibration", "0"], 1, "calibration"),
        (["--expert", "distilled", "--replies", "a.json"], 1, "replies is an option of the judge replay"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(predicted, tmp_path, options, status, told) -> None:  # noqa: F811
    done = cascade(predicted, tmp_path / "run", *options)
    assert done.exit_code == status
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
