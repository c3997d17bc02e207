import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("openpyxl", reason='needs the extra "eval"')
pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.cli import app
from efficient_empathy.evaluation.ratings.record import Key
from rated_runs import fill, responded_run


def call(*arguments):
    return CliRunner().invoke(app, ["ratings", *map(str, arguments)])


def test_sheets_go_out_and_come_back(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    out = tmp_path / "out"
    done = call("sheets", "--run", run.root, "--models", "moe, base", "-o", out, "--raters", "ann,bo", "--samples", 6,
                "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == {"likert": 12, "ab": 6}
    fill(out, Key.read(run.ratings / "main" / "key.json"))
    done = call("read", "--run", run.root, out / "ann.xlsx", out / "bo.xlsx", "--resamples", 50, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((run.ratings / "main" / "results.json").read_text("utf-8"))
    assert "moe against base (better): 12 won" in call("read", "--run", run.root, out, "--resamples", 0).stdout


def test_own_questions_in_a_study_of_their_own_shared_out_among_three(tmp_path) -> None:
    run, own, out = responded_run(tmp_path / "run"), tmp_path / "own.yaml", tmp_path / "out"
    own.write_text("ratings: [{name: relief, text: How relieved are you, scale: [0, 10]}]")
    options = ("--run", run.root, "--models", "moe,base", "--raters", "ann,bo,cy", "--study", "relief", "-o", out)
    done = call("sheets", *options, "--questions", own, "--overlap", 2, "--samples", 6, "--repeats", 0)
    assert done.exit_code == 0, done.output
    told = " ".join(done.stdout.split())
    assert "Study relief: sheets for 3 raters, of 6 samples and 2 models: 12 ratings, each by 2 of them." in told
    assert "A rater has 8 tasks" in told
    assert f"ratings read --run {run.root} --study relief SHEET…" in told
    key = (run.ratings / "relief" / "key.json").rename(tmp_path / "key.json")
    fill(out, Key.read(key), lambda rater, item, question: 10 if item.sides == [["moe"]] else 0)
    done = call("read", "--run", run.root, out, "--key", key, "--resamples", 0, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["likert"]["relief"]
    assert (found["scale"], [(one["name"], one["mean"], one["n"]) for one in found["models"]]) == (
        [0, 10], [("moe", 10, 12), ("base", 0, 12)]
    )  # fmt: skip
    own.write_text("ratings: [{name: relief, text: How relieved are you, scale: [10, 0]}]")
    done = call("sheets", *options, "--questions", own)
    assert done.exit_code == 1
    assert f"questionnaire {own}: ratings.0.scale: it cannot go from 10 to 0" in " ".join(done.stderr.split())


def test_a_single_model_is_rated_and_not_compared(tmp_path) -> None:
    run = responded_run(tmp_path / "run")
    done = call(
        "sheets", "--run", run.root, "--models", "moe", "--raters", 2, "--samples", 3, "--format", "csv", "--json"
    )
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["raters"] == ["rater-1", "rater-2"]
    assert made["items"] == {"likert": 3}
    assert [name.rsplit("/", 1)[1] for name in made["files"]] == ["rater-1-ratings.csv", "rater-2-ratings.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "moe", "--ab"], "an A/B comparison needs two models or more"),
        (["--models", "moe", "--no-likert"], "nothing is asked"),
        (["--models", ","], "nothing is asked"),
        (["--models", "moe", "--raters", "0"], "name at least one rater"),
        (["--models", "moe,gpt"], "has no responses of 'gpt'"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_1(tmp_path, arguments, said) -> None:
    run = responded_run(tmp_path / "run")
    done = call("sheets", "--run", run.root, *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert said in " ".join(done.stderr.split())


def test_reading_without_a_run_or_sheets(tmp_path) -> None:
    done = call("read", "--run", tmp_path / "nowhere", tmp_path / "a.xlsx")
    assert done.exit_code == 1
    assert "key.json is missing: make sheets with" in " ".join(done.stderr.split())
    assert call("read", "--run", tmp_path).exit_code == 2
