from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter

import pytest
import yaml
from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from efficient_empathy.evaluation.pairwise import PairRubric
from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer
from two_models import LONGER, TIE, run_of_two, shown

KILLS = int(os.environ.get("EMPATHY_KILLS", "2"))


@pytest.fixture
def run(tmp_path):
    n = 100
    return run_of_two(
        tmp_path / "run", [f"I am so sorry, {i}." for i in range(n)], [f"Oh, {i}." for i in range(n)]
    ).root


def command(run, url: str, *options: str) -> ForkedCommand:
    model = [] if "--model" in options else ["--model", "tiny"]
    where = ["--run", str(run), "--a", "moe", "--b", "base", "--base-url", url]
    return ForkedCommand("pairwise", *where, *model, *options)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_at_random_moments_it_pays_twice_only_for_what_was_in_flight(run) -> None:
    rng, window = random.Random(0), 8
    with MisbehavingServer(LONGER, latency_s=0.01) as server:
        for _ in range(KILLS):
            process = command(run, server.url, "--concurrency", str(window))
            before, goal = len(server.requests), rng.randint(1, 150 // KILLS)
            wait_for(lambda before=before, goal=goal: len(server.requests) >= before + goal)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        out, err = command(run, server.url, "--concurrency", str(window), "--json").communicate()
    result = json.loads(out)
    assert (result["win"], result["ending"]) == (100, "complete")
    counts = Counter(shown(body) for body in server.requests)
    assert len(counts) == 200
    assert sum(counts.values()) - 200 <= KILLS * window
    assert "scored 200 of 200" in err


def test_ctrl_c_finishes_what_is_in_flight_and_says_how_to_go_on(run) -> None:
    with MisbehavingServer(TIE, latency_s=0.3) as server:
        process = command(run, server.url, "--concurrency", "4")
        wait_for(lambda: len(server.requests) == 4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert len(server.requests) == 4
    assert process.returncode == 130
    assert "finishing the calls in flight" in err
    assert "left out: 98 not reached" in out
    assert "Run the same command again" in out


def here(run, url: str, *options: str):
    where = ["--run", str(run), "--a", "moe", "--b", "base", "--base-url", url]
    return CliRunner().invoke(app, ["pairwise", *where, *options])


def test_a_dry_run_sends_nothing_and_tells_the_price(run) -> None:
    with MisbehavingServer() as server:
        done = here(run, server.url, "--model", "gpt-4o", "--samples", "10", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert (plan["requests"], len(server.requests)) == (20, 0)
    assert 0 < plan["cost_usd"] < plan["max_cost_usd"]
    assert not (run / "evaluation").exists()


def test_a_rubric_of_one_s_own_is_a_judge_of_its_own(run, tmp_path) -> None:
    mine = {**PairRubric.load().model_dump(mode="json"), "name": "mine"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine), "utf-8")
    few = ("--model", "gpt-4o", "--samples", "3", "--json")
    with MisbehavingServer(LONGER) as server:
        here(run, server.url, *few)
        done = here(run, server.url, *few, "--rubric", str(tmp_path / "mine.yaml"))
    assert len(server.requests) == 12
    assert json.loads(done.stdout)["rubric"]["name"] == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "tiny"], "0 of 200 judgements are made and kept"),
        ([], "needs --model"),
        (["--model", "tiny", "--max-cost", "1"], "prices file"),
        (["--judge", "replay"], "--replies"),
        (["--model", "tiny", "--rubric", "nowhere.yaml"], "cannot read the pairwise rubric nowhere.yaml"),
    ],
)
def test_an_error_is_one_sentence(run, options: list[str], said: str) -> None:
    with MisbehavingServer(does.unauthorized()) as server:
        done = here(run, server.url, *options)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_where_no_pair_has_a_verdict_the_command_fails_and_says_why(tmp_path) -> None:
    run = run_of_two(tmp_path / "run", ["I am so sorry.", "The same."], ["Oh.", "The same."]).root
    options = ["pairwise", "--run", str(run), "--a", "moe", "--b", "base", "--model", "m", "--json"]
    with MisbehavingServer(does.prose()) as server:
        done = CliRunner().invoke(app, [*options, "--base-url", server.url])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["verdicts"]["failed"] == 1
    reason = "no pair that the judge was asked about has a verdict, since answers failed: 2 ×"
    assert reason in " ".join(done.stderr.split())
