from __future__ import annotations

import io
import json
import signal
import textwrap

import polars as pl
import pytest
import yaml
from rich.console import Console

import misbehaviours as does
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation import EndpointOptions, GenerationSettings, generate, summary
from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer, refusing_url

SHORT = GenerationSettings(max_new_tokens=8)


def echo(body, number):
    return does.ok("You said: " + body["messages"][-1]["content"], usage=(10, 4))


def ask(workspace, server_url, settings=SHORT, *, force=False, **options):
    console = Console(file=io.StringIO(), width=200)
    endpoint = EndpointOptions(server_url, timeout_s=5.0, **options)
    return generate(workspace, "gpt-4o", settings, endpoint=endpoint, console=console, force=force)


def test_every_sample_is_asked_once_and_answered_in_its_row(run):
    workspace = run(20)
    with MisbehavingServer(echo) as server:
        result = ask(workspace, server.url)
        assert len(server.requests) == 20
        assert ask(workspace, server.url).skipped
        assert len(server.requests) == 20
    frame = pl.read_parquet(workspace.generations / "gpt-4o.parquet")
    contexts = pl.read_parquet(workspace.samples).filter(split="test")["context"].to_list()
    assert frame["response"].to_list() == ["You said: " + context[-1]["text"].strip() for context in contexts]
    assert frame["completion_tokens"].to_list() == [4] * 20
    assert (result.backend, result.model, result.path) == ("endpoint", "gpt-4o", server.url)
    assert result.cost_usd == pytest.approx(20 * (10 * 2.5 + 4 * 10) / 1e6)
    request = server.requests[0]
    assert (request["max_tokens"], request["temperature"]) == (8, 0.0)
    assert "seed" not in request


def test_two_servers_on_one_host_share_no_response(run):
    workspace = run(2)
    with MisbehavingServer(does.ok("one")) as one, MisbehavingServer(does.ok("two")) as two:
        for server, said in ((one, "one"), (two, "two")):
            assert not ask(workspace, server.url).skipped
            assert set(pl.read_parquet(workspace.generations / "gpt-4o.parquet")["response"]) == {said}


def test_a_temperature_goes_with_its_seed(run):
    with MisbehavingServer(echo) as server:
        ask(run(1), server.url, SHORT.model_copy(update={"temperature": 0.7, "top_p": 0.9, "seed": 3}))
    request = server.requests[0]
    assert (request["temperature"], request["top_p"], request["seed"]) == (0.7, 0.9, 3)


def test_a_bill_above_its_bound_ends_it_even_at_the_last_response(run):
    with MisbehavingServer(does.ok("I hear you.", usage=(900_000_000, 9))) as server:
        with pytest.raises(UserError, match=r"billed \$2250 .* the limit of \$0\.05 cannot be kept"):
            ask(run(1), server.url, max_cost=0.05)
        assert len(server.requests) == 1


def test_what_is_thought_aloud_is_no_response(run):
    workspace = run(2)

    def script(body, number):
        answered = does.ok("<think>Be warm.</think>\n\nI hear you.")
        return answered if number else does.ok("<think>Be", finish_reason="length")

    with MisbehavingServer(script) as server:
        result = ask(workspace, server.url, concurrency=1)
    frame = pl.read_parquet(workspace.generations / "gpt-4o.parquet").sort("response", nulls_last=True)
    assert frame["response"].to_list() == ["I hear you.", None]
    assert "it only thought aloud: raise --max-new-tokens" in result.model_dump_json()


def test_failures_are_rows_with_a_reason_and_are_asked_again(run):
    workspace = run(6)

    def script(body, number):
        if "baby" in body["messages"][-1]["content"]:
            return does.error(400, "content management policy", code="content_filter")
        return echo(body, number)

    with MisbehavingServer(script) as server:
        result = ask(workspace, server.url)
    assert result.finish_reasons["error"] == 1
    assert "retry" in summary(result)
    frame = pl.read_parquet(workspace.generations / "gpt-4o.parquet")
    assert frame.filter(finish_reason="error")["response"].to_list() == [None]
    told = json.loads((workspace.generations / "gpt-4o.json").read_text())
    assert "content management policy" in next(iter(told["failures"].values()))


def test_failed_ones_alone_are_asked_again(run):
    workspace = run(5)
    broken = True

    def script(body, number):
        if broken and "baby" in body["messages"][-1]["content"]:
            return does.error(400, "no", code="content_filter")
        return echo(body, number)

    with MisbehavingServer(script) as server:
        assert ask(workspace, server.url).finish_reasons["error"] == 1
        asked, broken = len(server.requests), False
        result = ask(workspace, server.url)
        assert len(server.requests) - asked == 1
    assert (result.finish_reasons["error"], result.reasons) == (0, {})


def test_a_budget_is_never_exceeded_and_a_higher_one_goes_on(run):
    workspace = run(20)
    with MisbehavingServer(echo) as server:
        result = ask(workspace, server.url, max_cost=0.001, concurrency=1)
        assert result.ending == "budget"
        first = len(server.requests)
        assert 0 < first < 20
        assert result.cost_usd <= 0.001
        assert not (workspace.generations / "gpt-4o.parquet").exists()
        assert "--max-cost" in summary(result)
        assert ask(workspace, server.url, max_cost=1.0).ending == "complete"
        assert len(server.requests) == 20


def test_a_wrong_key_or_a_dead_server_ends_it_with_what_to_do(run):
    workspace = run(8)
    with (
        MisbehavingServer(lambda body, number: echo(body, number) if number < 3 else does.error(401, "bad key")) as s,
        pytest.raises(UserError, match=r"OPENAI_API_KEY.*of 8 responses are kept"),
    ):
        ask(workspace, s.url, concurrency=1)
    with pytest.raises(UserError, match="the same command goes on"):
        ask(workspace, refusing_url(), max_attempts=1, concurrency=1)


def test_a_model_without_a_temperature_is_asked_without_one(run):
    def script(body, number):
        declined = does.error(400, "Unsupported value: 'temperature' does not support 0", param="temperature")
        return declined if "temperature" in body else echo(body, number)

    with MisbehavingServer(script) as server:
        result = ask(run(10), server.url)
    assert result.finish_reasons["error"] == 0


KILLED = """
    import os, sys
    from efficient_empathy.modelling.generation import EndpointOptions, GenerationSettings, generate
    from efficient_empathy.modelling.generation.replies import Journal
    from efficient_empathy.foundation.run.workspace import Workspace

    append, count = Journal.append, 0

    def killed(self, *arguments):
        global count
        append(self, *arguments)
        count += 1
        if count == 5:
            os.kill(os.getpid(), 9)

    Journal.append = killed
    generate(
        Workspace(sys.argv[1]), "gpt-4o", GenerationSettings(max_new_tokens=8),
        endpoint=EndpointOptions(sys.argv[2], concurrency=1),
    )
"""


def test_after_kill_9_nothing_that_was_kept_is_paid_again(run):
    workspace = run(15)
    with MisbehavingServer(echo) as server:
        killed = ForkedCommand(workspace.root, server.url, program=textwrap.dedent(KILLED))
        said = killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL, said
        result = ask(workspace, server.url)
        asked = [body["messages"][-1]["content"] for body in server.requests]
        resumed = (workspace.generations / "gpt-4o.parquet").read_bytes()
        assert result.answered == 15
        assert len(asked) - len(set(asked)) <= 2  # what was in flight
        assert result.cost_usd >= 15 * (10 * 2.5 + 4 * 10) / 1e6
        ask(workspace, server.url, force=True)
    assert (workspace.generations / "gpt-4o.parquet").read_bytes() == resumed


def test_money_spent_before_counts_even_when_all_is_done_again(run, tmp_path):
    workspace = run(4)
    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump({"gpt-4o": {"input": 0.0, "output": 1000.0}}))
    with MisbehavingServer(echo) as server:
        first = ask(workspace, server.url, prices=prices)
        assert first.cost_usd == pytest.approx(4 * 0.004)
        again = ask(workspace, server.url, prices=prices, force=True)
    assert again.cost_usd == pytest.approx(8 * 0.004)


def test_nothing_that_can_spend_is_loaded_for_a_model_of_unknown_price(run):
    with MisbehavingServer(echo) as server, pytest.raises(UserError, match="price"):
        endpoint = EndpointOptions(server.url, max_cost=1.0)
        generate(run(2), "my-own", SHORT, endpoint=endpoint, console=Console(file=io.StringIO()))
    assert server.requests == []
