import json

import pytest
from typer.testing import CliRunner

from analytics_runs import planted_run
from efficient_empathy.cli import app


def call(*arguments):
    return CliRunner().invoke(app, ["analytics", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return planted_run(tmp_path_factory.mktemp("runs") / "may", 60).root


def test_words_then_one_json_object(run, tmp_path) -> None:
    told = call("--run", run, "--resamples", 20)
    assert told.exit_code == 0, told.output
    assert "120 samples of 60 dialogues" in told.stdout
    done = call("--run", run, "--resamples", 20, "--json", "-o", tmp_path / "a.json")
    found = json.loads(done.stdout)
    assert found["skipped"]
    assert found["run"]["samples"] == 120
    assert json.loads((tmp_path / "a.json").read_text())["run"] == found["run"]
    assert not json.loads(call("--run", run, "--resamples", 20, "--json", "--force").stdout)["skipped"]


def test_periods_and_another_run(run) -> None:
    found = json.loads(call("--run", run, "--resamples", 0, "--periods", "split", "--json").stdout)
    assert found["drift"]["comparisons"][0]["actual"]["name"] == "valid"
    found = json.loads(call("--run", run, "--resamples", 0, "--against", run, "--json").stdout)
    assert found["drift"]["kind"] == "runs"


def test_a_users_error_is_one_sentence_and_exit_1(run, tmp_path) -> None:
    for arguments, said in (
        (["--run", tmp_path], "run `efficient-empathy score SOURCE --run"),
        (
            ["--run", run, "--periods", "mood"],
            "split, source, category, turn, not 'mood'",
        ),
        (["--run", run, "--periods", "split", "--against", run], "do not go together"),
        (["--run", run, "--against", tmp_path], "run `efficient-empathy score SOURCE --run"),
    ):
        done = call(*arguments)
        assert done.exit_code == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert call().exit_code == 2
