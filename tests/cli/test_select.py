from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from scored_runs import numbered, write_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    samples = [numbered(i, ["sad", "joyful"][i % 2]) for i in range(40)]
    scores = {"sensibility": [float(i % 11) for i in range(40)], "rationality": [float(3 * i % 11) for i in range(40)]}
    return write_run(tmp_path / "run", samples, scores).root


def select(root: Path, *options: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["select", "--run", str(root), "--json", *options])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def test_thresholds_are_5_unless_they_are_given(root: Path) -> None:
    told = json.loads(select(root))
    assert (told["policy"], told["thresholds"]) == ("paper", {"alpha": 5, "beta": 5})
    told = json.loads(select(root, "--alpha", "0"))
    assert told["thresholds"] == {"alpha": 0, "beta": 5}
    again = json.loads(select(root, "--threshold", "alpha=0"))
    assert (again["skipped"], again["subsets"]) == (True, told["subsets"])
    assert json.loads(select(root, "--policy", "top", "--top", "3"))["thresholds"] == {}


def test_a_run_without_a_single_score_is_refused_in_words(tmp_path: Path) -> None:
    samples = [numbered(i) for i in range(3)]
    none: list[float | None] = [None] * 3
    scores = {"sensibility": none, "rationality": none}
    states = ["parse_error", "parse_error", "refused"]
    run = write_run(tmp_path / "run", samples, scores, states=states)
    said = " ".join(select(run.root, code=1).split())
    assert "has a score (2 parse_error, 1 refused), so there is nothing to select" in said
    assert not run.selection.exists()


def test_the_top_of_each_axis_by_its_name(root: Path) -> None:
    told = json.loads(select(root, "--policy", "top", "--top", "sensibility=4", "--top", "rationality=0.2"))
    assert told["subsets"] == {"sensibility": 4, "rationality": 8, "discard": 28}
    told = json.loads(select(root, "--policy", "top", "--top", "rationality=3", "--where", "category == sad"))
    assert told["subsets"] == {"rationality": 3, "discard": 37}


def test_a_policy_file_with_thresholds_of_its_own(root: Path, tmp_path: Path) -> None:
    rules = "name: mine\nthresholds: {short: 3}\nrules:\n  - terse: response_words < short\notherwise: rest\n"
    file = tmp_path / "mine.yaml"
    file.write_text(rules)
    assert json.loads(select(root, "--policy", str(file)))["subsets"] == {"terse": 40, "rest": 0}
    told = json.loads(select(root, "--policy", str(file), "--threshold", "short=2"))
    assert (told["thresholds"], told["subsets"]) == ({"short": 2}, {"terse": 0, "rest": 40})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--top", "5"], "has rules and takes no top: it has thresholds alone"),
        (["--policy", "both", "--quota", "sad=1"], "has rules and takes no quotas"),
        (["--policy", "exclusive", "--per-category"], "has rules and takes no per_category"),
        (["--policy", "top", "--top", "5", "--alpha", "5"], "the policy top has no threshold alpha: it has none"),
        (["--policy", "top", "--top", "5", "--decide", "probabilities"], "cannot decide on probabilities"),
        (["--policy", "top", "--top", "inf"], "--top: Input should be a finite number"),
        (["--policy", "top", "--top", "0"], "it is 0.0 and must be a whole number from 1, or a fraction"),
        (["--policy", "top", "--top", "2.5"], "it is 2.5 and must be a whole number from 1, or a fraction"),
        (["--policy", "top", "--top", "3", "--top", "sensibility=2"], "--top: give one number for all axes, or AXIS=N"),
        (["--policy", "top", "--top", "warmth=2"], "takes the top of warmth, and the rubric has no such axis"),
        (["--policy", "top", "--top", "many"], "--top: Input should be a valid number"),
        (["--policy", "top"], "the policy top needs to know how many"),
        (["--policy", "top", "--quota", "sad=inf"], "--quota: Input should be a finite number"),
        (["--alpha", "nan"], "--alpha: Input should be a finite number"),
        (["--alpha", "5", "--threshold", "alpha=6"], "the threshold alpha is set twice"),
        (["--threshold", "alfa=6"], "no threshold alfa: it has alpha, beta; did you mean alpha?"),
        (["--threshold", "6"], "--threshold takes NAME=VALUE, not '6'"),
        (["--policy", "papper"], "there is no policy 'papper'"),
        (["--decide", "dice"], "--decide: Input should be 'auto', 'scores' or 'probabilities'"),
    ],
)
def test_what_does_not_apply_or_is_no_amount_is_an_error(root: Path, options: list[str], said: str) -> None:
    assert said in select(root, *options, code=1)
    assert not (root / "selection").exists()


def test_quotas_leave_out_the_categories_that_they_do_not_name(root: Path) -> None:
    told = json.loads(select(root, "--policy", "top", "--quota", "sad=3"))
    assert told["subsets"] == {"sensibility": 3, "rationality": 3, "discard": 34}
    told = json.loads(select(root, "--policy", "top", "--quota", "sad=3", "--top", "2"))
    assert told["subsets"] == {"sensibility": 5, "rationality": 5, "discard": 30}
    help_text = CliRunner().invoke(app, ["select", "--help"]).stdout
    assert "left out" in " ".join(help_text.split())
