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
    assert (told["policy"], told["alpha"], told["beta"]) == ("paper", 5, 5)
    told = json.loads(select(root, "--alpha", "0"))
    assert (told["alpha"], told["beta"]) == (0, 5)
    assert json.loads(select(root, "--policy", "top", "--top", "3"))["alpha"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--top", "5"], "--top does not apply: --policy paper"),
        (["--policy", "both", "--top-sensibility", "5", "--quota", "sad=1"], "--top-sensibility, --quota do not apply"),
        (["--policy", "exclusive", "--top-rationality", "0.1", "--per-category"], "--top-rationality, --per-category"),
        (["--policy", "top", "--top", "5", "--alpha", "5"], "--alpha does not apply: --policy top has no thresholds"),
        (["--policy", "top", "--top", "5", "--beta", "5", "--decide", "auto"], "--beta, --decide do not apply"),
        (["--policy", "top", "--top", "inf"], "top is inf: it must be a whole number"),
        (["--policy", "top", "--top", "nan"], "top is nan: it must be a whole number"),
        (["--policy", "top", "--quota", "sad=inf"], "the quota of 'sad' is inf"),
        (["--alpha", "nan"], "alpha is nan"),
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
