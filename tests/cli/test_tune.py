import json

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from selected_runs import selected_run


def run(*arguments):
    return CliRunner().invoke(app, ["tune", *map(str, arguments)])


def test_thresholds_as_one_json_object_and_in_words(tmp_path) -> None:
    workspace = selected_run(tmp_path / "run")
    arguments = ["--run", workspace.root, "--target", "share=0.5", "--alphas", "1:9", "--betas", "1:9:2"]
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["subsets"]["discard"] == 60
    assert result["better_than_default"]
    assert (workspace.tuning / "select.yaml").exists()
    told = run(*arguments)
    assert "better than the default" in told.stdout
    assert f"Next: efficient-empathy select --run {workspace.root} --policy paper --alpha" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "more"], "'more' is no target"),
        (["--target", "share=0.9", "--alphas", "9", "--betas", "9"], "cannot be reached within 5.0% of 120 samples"),
        (["--target", "samples=900"], "there are 120 scored samples"),
        (["--target", "balance"], "two or more categories, and these have none"),
        (["--target", "share=0.5", "--folds", "1"], "--folds: Input should be greater than or equal to 2"),
        (["--target", "share=0.5", "--folds", "40"], "60 dialogues are too few for 40 folds"),
        (["--target", "share=0.5", "--policy", "top"], "has no thresholds to move"),
        (["--target", "share=0.5", "--least", "0.2"], "--least goes with --target balance, not with share=0.5"),
        (["--target", "balance", "--proxy-steps", "2"], "--proxy-steps goes with --target proxy-loss"),
        (["--target", "proxy-loss", "--set", "step=2"], "not valid in the proxy's settings: step is no key"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_status_1(tmp_path, arguments, said) -> None:
    workspace = selected_run(tmp_path / "run")
    done = run("--run", workspace.root, *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
