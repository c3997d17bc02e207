import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import COMMANDS, app
from efficient_empathy.cli.lazy import Place
from efficient_empathy.evaluation.robustness import SweepSettings
from selected_runs import selected_run

POLICIES = ("--policy", "paper", "--policy", "exclusive")


def run(*arguments):
    return CliRunner().invoke(app, ["sweep", *map(str, arguments)])


def test_a_grid_as_one_json_object_and_in_words(tmp_path) -> None:
    workspace = selected_run(tmp_path / "run")
    done = run("--run", workspace.root, "--alphas", "4:6", "--betas", "5", *POLICIES, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert len(result["cells"]) == 6
    assert result["cells"][1]["subsets"] == {"sensibility": 60, "rationality": 40, "discard": 20}
    told = run("--run", workspace.root, "--grid", "alpha=4:6", "--grid", "beta=5", *POLICIES)
    assert "(nothing had changed)" in told.stdout
    assert "exclusive: share kept" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alphas", "7:3"], "'7:3' has no threshold in it"),
        (["--grid", "gamma=3:5"], "the policy paper has no threshold gamma: it has alpha, beta"),
        (["--grid", "alpha"], "--grid takes NAME=VALUE"),
        (["--grid", "alpha=4", "--alphas", "5"], "alpha are given twice"),
        (["--betas", "3:12"], "the threshold beta of the policy paper is 12, which is not on the scale of rationality"),
        (["--alphas", "wide"], "no range of thresholds: write 3:7"),
        (["--policy", "top"], "the policy 'top' has no thresholds to move"),
        (["--policy", "best"], "there is no policy 'best'"),
        (["--decide", "dice"], "--decide: Input should be 'auto', 'scores' or 'probabilities'"),
        (["--subset", "discard", "--keep"], "--subset, --keep needs --train"),
        (["--train", "--samples", "4"], "--samples needs --metrics"),
        (["--train", "--set", "epoch=2"], "epoch is no key: did you mean epochs?"),
        (["--train", "--subset", "both"], "the policy paper has no subset 'both'"),
        (["--train", "--seeds", "-1"], "--seeds: Input should be greater than or equal to 0"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_status_1(tmp_path, arguments, said) -> None:
    workspace = selected_run(tmp_path / "run")
    done = run("--run", workspace.root, *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_a_run_that_is_not_scored_says_the_command(tmp_path) -> None:
    done = run("--run", tmp_path / "none")
    assert done.exit_code == 1
    assert "`efficient-empathy score SOURCE --run" in " ".join(done.stderr.split())


def test_the_help_is_light_and_has_an_example() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom efficient_empathy.cli import app\n"
        "print(CliRunner().invoke(app, ['sweep', '--help']).output)\n"
        "print([name for name in ('torch', 'scipy', 'nltk', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "Example: efficient-empathy sweep --run" in done.stdout


def test_one_policy_or_several_go_by_one_name_in_recipes_and_commands() -> None:
    for policy in ("exclusive", ["exclusive"]):
        assert SweepSettings.model_validate({"policy": policy}).policy == ("exclusive",)
    for command in ("select", "sweep", "tune"):
        assert "--policy " in CliRunner().invoke(app, [command, "--help"]).stdout


MAKE_THE_RUN = {"score", "cascade"}


@pytest.mark.parametrize("command", sorted(name for name, at in COMMANDS.items() if isinstance(at, Place)))
def test_only_what_scores_says_that_it_makes_the_run(command) -> None:
    text = " ".join(CliRunner().invoke(app, [command, "--help"]).stdout.split())
    assert ("made when it is missing" in text) == (command in MAKE_THE_RUN)
