import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("scipy", reason='needs the extra "eval"')

from efficient_empathy.cli import app
from rated_responses import dialogue_rows, epitome_rows, jsonl


def called(*arguments: object):
    return CliRunner().invoke(app, ["fit-metric", *map(str, arguments)])


def test_it_says_how_good_the_metric_is_and_where_it_lies(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "rated.jsonl", epitome_rows())
    result = called("epitome", data, "-o", tmp_path / "metrics" / "epitome", "--folds", 2)
    assert result.exit_code == 0
    assert "90 labelled texts, 45 groups, 2-fold cross-validation" in result.stdout
    assert (
        "interpretations: quadratic kappa 0." in result.stdout or "interpretations: quadratic kappa 1." in result.stdout
    )
    assert (tmp_path / "metrics" / "epitome" / "metric.json").exists()
    assert "cross-validating" in result.stderr


def test_json_is_one_object_on_stdout(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "talk.jsonl", dialogue_rows())
    result = called("emotion", data, "-o", tmp_path / "emotion", "--folds", 2, "--json")
    told = json.loads(result.stdout)
    assert told["rows"] == 120
    assert told["figures"]["responses"]["accuracy"] > 0.9


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "rated.jsonl", [row | {"explorations": 7} for row in epitome_rows(3)])
    result = called("epitome", data, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "rated.jsonl:1: 'explorations' is '7': a level is 0, 1 or 2" in result.stderr
    assert not (tmp_path / "out").exists()
    assert called("warmth", data, "-o", tmp_path / "out").exit_code == 2


def test_other_column_names(tmp_path: Path) -> None:
    rows = [{("answer" if name == "response_post" else name): row[name] for name in row} for row in epitome_rows()]
    data = jsonl(tmp_path / "rated.jsonl", rows)
    assert called("epitome", data, "-o", tmp_path / "out").exit_code == 1
    assert called("epitome", data, "-o", tmp_path / "out", "--column", "response=answer", "--folds", 2).exit_code == 0
