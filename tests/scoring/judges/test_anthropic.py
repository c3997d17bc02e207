"""The judge `anthropic` through the command, against a server that speaks its format."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import misbehaviours as does
from claude_replies import declines, fails, message, no_credit, says, tool
from efficient_empathy.cli import app
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.record import ScoreRecord
from misbehaving_server import MisbehavingServer
from samples import FORM

SCORES = {"sensibility": 8, "rationality": 2}
KEY = "sk-ant-very-secret-0123456789"
MODEL = "claude-haiku-4-5"


@pytest.fixture
def score(tmp_path, monkeypatch):
    """Scores ten samples; the command's result, its output where it failed, and the run's ledger by state."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}]}
        for i in range(10)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")

    def run(server: MisbehavingServer, *options: str, code: int = 0) -> Any:
        judge = ["--judge", "anthropic", "--base-url", server.url, *options]
        judge += [] if "--model" in options else ["--model", MODEL]
        done = CliRunner().invoke(app, ["score", "chat.jsonl", "--run", "r", "--json", *judge])
        assert done.exit_code == code, done.output
        assert KEY not in done.output
        for path in (tmp_path / "r").rglob("*"):
            assert not path.is_file() or KEY not in path.read_bytes().decode("latin-1")
        return json.loads(done.stdout) if code == 0 else done.output

    return run


def test_it_scores_with_a_forced_tool_and_counts_the_money(score) -> None:
    with MisbehavingServer(tool(SCORES, usage=(1000, 40))) as server:
        result = score(server)
        assert score(server)["requests"] == 0
    assert (result["samples"], result["states"]["ok"], result["requests"]) == (10, 10, 10)
    assert result["cost_usd"] == pytest.approx(10 * (1000 * 1.0 + 40 * 5.0) / 1e6)
    assert set(result) >= {"samples", "states", "requests", "cost_usd", "seconds"}
    sent, headers = server.requests[0], {name.lower(): value for name, value in server.headers[0].items()}
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers
    assert [one["role"] for one in sent["messages"]] == ["user"]
    assert sent["tools"][0]["input_schema"]["required"] == ["sensibility", "rationality"]
    record = Workspace("r").stage("score", ScoreRecord)
    assert record is not None
    assert record.panel.specs[0].judge == "anthropic"
    assert record.first_pass is not None
    reference = record.first_pass.judges[0].reference
    assert reference is not None
    assert (reference.judge, reference.settings["model"]) == ("anthropic", MODEL)


def test_a_long_rubric_is_cached_once_for_all_samples_and_the_cache_is_counted_at_its_price(score, tmp_path) -> None:
    rubric = yaml.safe_load(
        Path(str(files("efficient_empathy.scoring") / "rubrics" / "empathy.yaml")).read_text("utf-8")
    )
    rubric["prompt"] = "Weigh every word.\n" * 400 + rubric["prompt"]
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(rubric), "utf-8")
    usage = {"input_tokens": 100, "cache_read_input_tokens": 2000, "output_tokens": 10}
    with MisbehavingServer(tool(SCORES, usage=usage)) as server:
        result = score(server, "--rubric", "long.yaml")
        marked = {body["messages"][0]["content"][0]["text"] for body in server.requests}
    assert len(marked) == 1
    assert marked.pop().startswith("Weigh every word.")
    assert result["cost_usd"] == pytest.approx(10 * (100 * 1.0 + 2000 * 0.1 + 10 * 5.0) / 1e6)


def test_a_server_without_tools_gets_the_form(score) -> None:
    def script(body: dict[str, Any], number: int) -> Any:
        return declines("tools") if "tools" in body else says(FORM.format(8, 2))

    with MisbehavingServer(script) as server:
        result = score(server, "--concurrency", "1")
    assert result["states"]["ok"] == 10
    assert sum("tools" in body for body in server.requests) <= 2


def test_a_model_without_a_temperature_is_asked_without_one(score) -> None:
    def script(body: dict[str, Any], number: int) -> Any:
        return declines("temperature") if "temperature" in body else tool(SCORES)

    with MisbehavingServer(script) as server:
        assert score(server)["states"]["ok"] == 10


TROUBLE = [
    (fails(529, "overloaded_error", "Overloaded"), "ok"),
    (fails(429, "rate_limit_error", "too many", Retry_After="0"), "ok"),
    (fails(500, "api_error", "Internal server error"), "ok"),
    (does.reset(), "ok"),
    (does.not_json(), "ok"),
    (does.html(), "ok"),
    (does.ok("7 8"), "ok"),
    (says("I'm sorry, I can't rate this."), "refused"),
    (says("", stop_reason="refusal"), "refused"),
    (tool({"sensibility": 8}), "parse_error"),
]


def test_every_sample_ends_in_the_right_state_whatever_the_server_does(score, monkeypatch) -> None:
    """Each trouble strikes one sample, on its first request."""
    monkeypatch.setattr("efficient_empathy.llm.pacing.BASE_S", 0.001)
    met: set[int] = set()

    def script(body: dict[str, Any], number: int) -> Any:
        text = body["messages"][-1]["content"]
        sample = next(i for i in range(10) if f"Reply {i}." in text)
        if sample in met:
            return tool(SCORES)
        met.add(sample)
        return TROUBLE[sample][0]

    with MisbehavingServer(script) as server:
        result = score(server)
        assert len(server.requests) > 10
    wanted = [state for _, state in TROUBLE]
    assert {state: count for state, count in result["states"].items() if count} == {
        state: wanted.count(state) for state in set(wanted)
    }
    with Ledger(Workspace("r").ledger, read_only=True) as ledger:
        refused = [j for j in ledger.judgements() if j.state == "refused"]
    assert all(j.reason and not j.scores for j in refused)


def test_a_reply_that_was_cut_off_says_so(score) -> None:
    with MisbehavingServer(does.raw(message("Sensibility: ", stop_reason="max_tokens"))) as server:
        said = " ".join(score(server, code=1).split())
    assert "no sample has a score, since all 10 judgements failed: 10 × " in said
    assert "raise --max-tokens" in said


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (fails(401, "authentication_error", "invalid x-api-key"), "set ANTHROPIC_API_KEY"),
        (fails(403, "permission_error", "no access"), "refuses the key"),
        (no_credit(), "has no credit left"),
        (fails(404, "not_found_error", f"model: {MODEL}"), f'no chat model "{MODEL}"'),
    ],
)
def test_what_no_request_can_mend_is_said_at_once(score, trouble, said: str) -> None:
    with MisbehavingServer(trouble) as server:
        assert said in " ".join(score(server, code=1).split())


def test_a_limit_on_money_holds(score) -> None:
    with MisbehavingServer(tool(SCORES, usage=(1000, 40))) as server:
        result = score(server, "--max-cost", "0.012")
    assert result["ending"] == "budget"
    assert 0 < result["cost_usd"] <= 0.012
    assert len(server.requests) * (1000 * 1.0 + 40 * 5.0) / 1e6 <= 0.012


def test_log_probabilities_are_refused_before_anything_is_asked(score) -> None:
    with MisbehavingServer(tool(SCORES)) as server:
        assert "gives no log-probabilities" in " ".join(score(server, "--logprobs", code=1).split())
        assert not server.requests
