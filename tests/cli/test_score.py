import json

import pytest
from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from misbehaving_server import MisbehavingServer

SCORES = json.dumps({"sensibility": 6, "rationality": 2})


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """The command in a folder with one file of two samples."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}]}
        for i in range(2)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return lambda *arguments, code=0: ran(arguments, code)


def ran(arguments, code):
    done = CliRunner().invoke(app, ["score", *arguments])
    assert done.exit_code == code, done.output
    return done


def test_the_old_and_the_short_form_name_the_same_judge(cli) -> None:
    with MisbehavingServer(does.ok(SCORES)) as server:
        cli("chat.jsonl", "--run", "r", "--judge", "openai", "--model", "m", "--base-url", server.url)
        cli("chat.jsonl", "--run", "r", "--judge", f"openai:m@{server.url}")
        assert len(server.requests) == 2


def test_an_ensemble_then_a_refresh_tells_what_it_did_and_what_is_next(cli) -> None:
    with MisbehavingServer(does.ok(SCORES)) as server:
        judges = [item for model in "ab" for item in ("--judge", f"openai:{model}@{server.url}")]
        text = cli("chat.jsonl", "--run", "r", *judges, "--pool", "vote").output
        assert "b: 2 ok" in text
        assert "vote" in text
        plan = json.loads(cli("--run", "r", "--refresh", "uncertain", "--dry-run", "--json").stdout)
        assert (plan["chosen"], plan["requests"], len(plan["members"])) == (2, 4, 2)
        text = cli("--run", "r", "--refresh", "uncertain").output
    assert len(server.requests) == 8
    assert "2 uncertain samples: 2 within reach of a threshold" in text
    assert "0 of them changed subset" in text
    assert "select --run r --policy paper --alpha 5 --beta 5" in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["chat.jsonl", "--run", "r", "--judge", "oracle"], 2, "names no judge"),
        (["--run", "r"], 2, "SOURCE"),
        (["chat.jsonl", "--run", "r", "--refresh", "all"], 2, "leave SOURCE out"),
        (["chat.jsonl", "--run", "r", "--reach", "2"], 1, "--refresh"),
        (["chat.jsonl", "--run", "r", "--pool", "mean"], 1, "more than once"),
        (["--run", "r", "--refresh", "all"], 1, "no run's folder"),
        (["--run", ".", "--refresh", "all"], 1, "no scores to refresh"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(cli, arguments, code, said) -> None:
    assert said in " ".join(cli(*arguments, code=code).output.split())
