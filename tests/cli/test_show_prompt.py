import json

import pytest
from typer.testing import CliRunner

import misbehaviours as does
from claude_replies import tool
from efficient_empathy.cli import app
from misbehaving_server import MisbehavingServer

KEY = "sk-very-secret-0123456789"
SCORES = json.dumps({"sensibility": 6, "rationality": 2})


@pytest.fixture
def score(tmp_path, monkeypatch):
    """The command on a file of three samples, with a key in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Story [{i}]."},
                {"role": "assistant", "content": f"Reply {i}. :+1:"},
            ]
        }
        for i in range(3)
    ]
    source = tmp_path / "chat.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), "utf-8")

    def run(*arguments: str, code: int = 0):
        done = CliRunner().invoke(app, ["score", str(source), "--run", str(tmp_path / "run"), *arguments])
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.mark.parametrize(("judge", "answer"), [("openai", does.ok(SCORES)), ("anthropic", tool(json.loads(SCORES)))])
def test_what_is_shown_is_what_a_server_gets_and_nothing_is_sent(score, tmp_path, judge, answer) -> None:
    with MisbehavingServer(answer) as server:
        asking = ["--judge", f"{judge}:m@{server.url}", "--concurrency", "1"]
        shown = json.loads(score(*asking, "--show-prompt", "2", "--json").stdout)
        text = score(*asking, "--show-prompt").stdout
        assert not server.requests
        assert not (tmp_path / "run").exists()
        score(*asking)
        assert [request["body"] for request in shown["requests"]] == server.requests[:2]
    assert shown["sent"] is False
    assert KEY not in text + json.dumps(shown)
    for piece in ("[system]", "[user]", "Speaker: Story [0].", "Reply 0. :+1:", "max_tokens: 100", '"enum": [0, 1'):
        assert piece in text
    assert "Story [1]" not in text
    assert text.rstrip().endswith("Nothing was sent.")


def test_of_several_judges_each_is_shown_that_asks(score) -> None:
    judges = ["--judge", "distilled", "--judge", "openai:a", "--judge", "anthropic:b"]
    shown = json.loads(score(*judges, "--show-prompt", "--json").stdout)
    assert [request["judge"] for request in shown["requests"]] == ["a", "b"]


def test_a_judge_without_a_prompt_is_said_to_have_none(score) -> None:
    done = score("--show-prompt", code=1)
    assert "makes no request: name a judge such as openai:MODEL" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("options", "most"),
    [
        (["--reasoning-tokens", "2000"], 2100),
        (["--extra-body", '{"reasoning_effort": "low"}'], 4196),
        (["--extra-body", '{"chat_template_kwargs": {"enable_thinking": false}}'], 100),
        (["--extra-body", '{"reasoning": {"max_tokens": 900}}'], 1000),
        (["--extra-body", '{"reasoning_effort": "low"}', "--reasoning-tokens", "50"], 150),
    ],
)
def test_room_for_thoughts_stands_in_what_is_shown_and_in_the_bound(score, options: list[str], most: int) -> None:
    asking = ["--judge", "openai:gpt-4o-mini", *options]
    assert f"max_tokens: {most}" in score(*asking, "--show-prompt").stdout
    assert json.loads(score(*asking, "--dry-run", "--json").stdout)["completion_tokens"] == 3 * most
