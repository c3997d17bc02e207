"""The commands of corrections, in words and as JSON, and what other commands say of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import efficient_empathy as ee
from efficient_empathy.cli import app
from samples import FORM


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = [{"context": f"story {i}", "response": "oh" * i, "evaluation": FORM.format(8, i)} for i in range(1, 9)]
    source = tmp_path / "judged.json"
    source.write_text(json.dumps(rows), "utf-8")
    ee.score(source, tmp_path / "run", judge="replay", quiet=True)
    ee.select(tmp_path / "run")
    return tmp_path / "run"


def call(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def test_people_correct_a_run_from_the_command_line(root: Path, tmp_path: Path) -> None:
    run = ["--run", root]
    said = ["--subset", "discard", "--tag", "short", "--by", "ann", "--reason", "too short"]
    one = json.loads(call("corrections", "add", *run, "--where", "rationality <= 2", *said, "--json"))
    assert (one["number"], len(one["samples"]), one["subset"]) == (1, 2, "discard")
    sample = next(iter(one["samples"]))
    text = call("corrections", "add", *run, "--id", sample, "--score", "rationality=9", "--by", "bo")
    assert text.startswith("Correction 2 by bo, of 1 sample: rationality 9.\nNext: efficient-empathy select --run ")
    assert call("corrections", "add", *run, "--id", sample, "--note", "see").strip().endswith("note “see”.")
    listed = json.loads(call("corrections", "list", *run, "--json"))
    assert [one["number"] for one in listed["corrections"]] == [1, 2, 3]
    assert listed["counts"] == {"scores": 1, "subsets": 2, "unused": 0, "absent": 0, "people": {"ann": 2, "bo": 1}}
    assert "was made from an earlier corrections.jsonl" in call("check", root, code=1)
    selected = json.loads(call("select", *run, "--json"))
    assert (selected["subsets"]["discard"], selected["corrections"]) == (3, listed["counts"])
    checked = json.loads(call("check", root, "--json"))
    assert (checked["whole"], checked["corrections"]) == (True, listed["counts"])
    assert "People corrected samples: 1 by score and 2 by subset (ann 2, bo 1)." in call("select", *run)
    call("report", *run)
    assert '<h2 id="corrections-title">Corrected by people</h2>' in (root / "report.html").read_text("utf-8")
    assert json.loads(call("check", root, "--json"))["whole"]
    assert json.loads(call("corrections", "export", *run, "-o", tmp_path / "table.csv", "--json"))["rows"] == 4
    call("corrections", "withdraw", 1, 2, *run, "--by", "ann")
    assert "(taken back)" in call("corrections", "list", *run)
    assert "earlier corrections.jsonl" in call("check", root, code=1)
    back = json.loads(call("corrections", "import", *run, "--file", tmp_path / "table.csv", "--json"))
    assert (back["samples"], back["absent"]) == (2, 0)
    assert json.loads(call("select", *run, "--json"))["corrections"] == listed["counts"]


def test_what_is_wrong_is_said_in_a_sentence(root: Path) -> None:
    for arguments, fault in (
        (["add", "--id", "x", "--tag", "odd"], "has no sample 'x'"),
        (["add", "--tag", "odd"], "no sample is named"),
        (["add", "--where", "rationality > 3"], "nothing is said of the samples"),
        (["add", "--id", "x", "--score", "rationality=2.5"], "--score: "),
        (["withdraw", "4"], "has no correction 4"),
    ):
        assert fault in call("corrections", arguments[0], "--run", root, *arguments[1:], code=1)
