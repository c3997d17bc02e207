import json

import polars as pl
import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from strange_conversations import GERMAN, KIND, STORY, bare_folder


def run(*arguments, stdin: str | None = None):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], input=stdin)


def lines(*responses: str) -> str:
    rows = [
        [{"role": "user", "content": f"{STORY} {i}"}, {"role": "assistant", "content": response}]
        for i, response in enumerate(responses)
    ]
    return "".join(json.dumps({"id": f"c{i}", "messages": row}) + "\n" for i, row in enumerate(rows))


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chats.jsonl").write_text(lines(KIND, "whatever .", KIND), "utf-8")
    return "chats.jsonl"


def test_figures_in_words_as_json_and_in_a_file(source, tmp_path) -> None:
    told = run(source)
    assert told.exit_code == 0, told.output
    assert "3 samples of 3 conversations" in told.stdout
    assert "Drift: ok." in told.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]
    done = run(source, "--json", "-o", "figures.csv", "--per", "conversation", "--alpha", 6)
    result = json.loads(done.stdout)
    assert (result["samples"], result["drift"]["verdict"]) == (3, "ok")
    assert result["thresholds"] == {"alpha": 6, "beta": 5}
    assert pl.read_csv("figures.csv")["dialogue_id"].to_list() == ["c0", "c1", "c2"]


def test_a_stream_is_answered_line_by_line_on_stdout_and_summed_up_on_stderr(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("-", "-o", "all.jsonl", stdin=lines(KIND, GERMAN))
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["dialogue_id"] for answer in answers] == ["c0", "c1"]
    assert [answer["samples"][0]["outside"] for answer in answers] == [False, True]
    assert "2 samples of 2 conversations" in done.stderr
    assert len(pl.read_ndjson("all.jsonl")) == 2
    plain = run("-", stdin=lines(KIND))
    assert "1 samples of 1 conversations" in plain.stderr
    whole = run("-", "--json", stdin=lines(KIND))
    assert json.loads(whole.stdout)["samples"] == 1


def test_an_alarm_fails_only_where_that_is_asked(source) -> None:
    strange = lines(*[GERMAN] * 5)
    assert run("-", stdin=strange).exit_code == 0
    alarmed = run("-", "--fail-on-drift", stdin=strange)
    assert alarmed.exit_code == 3
    assert "Do not trust these figures" in alarmed.stderr
    assert run(source, "--fail-on-drift").exit_code == 0


def test_without_a_reference_drift_is_unknown_and_cannot_be_asked_for(source, tmp_path) -> None:
    folder = bare_folder(tmp_path / "judge")
    told = run(source, "--judge-model", folder)
    assert told.exit_code == 0
    assert "Drift: unknown, drift cannot be checked" in told.stdout
    refused = run(source, "--judge-model", folder, "--fail-on-drift")
    assert refused.exit_code == 1
    assert "drift cannot be checked" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "is not found"),
        (["-", "-o", "figures.xlsx"], "must end in .jsonl, .parquet, .csv"),
        (["-", "--policy", "best"], "no policy 'best'"),
        (["-", "--threshold", "gamma=12"], "no threshold gamma"),
        (["-"], "line 1: "),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_status_1(tmp_path, arguments, said) -> None:
    done = run(*arguments, stdin="{\n")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_no_conversation_is_no_error() -> None:
    done = run("-", stdin="")
    assert done.exit_code == 0
    assert "No conversation to judge." in done.stderr
