import json

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from golden_sets import golden_set, samples
from scored_runs import write_run


def call(*arguments):
    return CliRunner().invoke(app, ["prompts", "golden", *map(str, arguments)])


@pytest.fixture
def run(tmp_path):
    scores = {axis: [float(i % 9) for i in range(60)] for axis in ("sensibility", "rationality")}
    return write_run(tmp_path / "run", samples(60), scores).root


def test_a_set_is_made_of_a_run_and_found_in_order(run, tmp_path) -> None:
    done = call("--run", run, "-n", 30, "-o", tmp_path / "g", "--alpha", 6)
    assert done.exit_code == 0, done.stderr
    assert "30 items of 60 scored samples" in done.stdout
    assert "9 of 9 score cells, 5 of 5 categories" in done.stdout
    assert f"Next: efficient-empathy prompts test {tmp_path}/g" in done.stdout
    told = json.loads(call("--check", tmp_path / "g", "--json").stdout)
    assert (told["ok"], told["items"], told["ranges"]) == (True, 30, 0)


def test_every_problem_of_a_set_is_told(tmp_path) -> None:
    folder = golden_set(tmp_path / "g", 4)
    with (folder / "items.jsonl").open("a", encoding="utf-8") as file:
        file.write("{\n[]\n")
    done = call("--check", folder)
    assert done.exit_code == 1
    assert [line.split(":")[2] for line in done.stderr.splitlines()] == ["5", "6"]
    told = json.loads(call("--check", folder, "--json").stdout)
    assert (told["ok"], len(told["problems"])) == (False, 2)


def test_a_changed_set_is_sealed_as_one_of_its_own(tmp_path) -> None:
    folder = golden_set(tmp_path / "g", 4)
    lines = (folder / "items.jsonl").read_text("utf-8").splitlines()
    (folder / "items.jsonl").write_text("\n".join(lines[:3]), "utf-8")
    assert "is of 4 items, and items.jsonl has 3" in call("--check", folder).stderr
    assert call("--check", folder, "--write").exit_code == 0
    assert call("--check", folder).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either --run RUN with -o FOLDER"),
        (["--run", "a", "--check", "b"], "give either --run RUN"),
        (["--run", "a"], "-o FOLDER is missing"),
        (["--run", "nowhere", "-o", "g"], "samples.parquet is missing: run `efficient-empathy score"),
        (["--check", "nowhere"], "nowhere holds no golden set"),
    ],
)
def test_an_error_is_one_sentence(tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*arguments)
    assert done.exit_code == 1
    assert said in done.stderr
