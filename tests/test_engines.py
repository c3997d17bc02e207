"""What `make engines` would say of servers that do not keep what it checks."""

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.engines.checks import CheckError, Runner, check_judge, check_logprobs, check_quality
from benchmarks.engines.servers import ENGINES

import misbehaviours as does
from forked_command import run_forked
from misbehaving_server import MisbehavingServer

REPLY = json.dumps({"sensibility": 8, "rationality": 2})
CONSTRAINING, FREE = ENGINES["vllm"], ENGINES["transformers"]


def reply(p: float) -> does.Behaviour:
    """The reply in characters, each with this probability beside 5."""
    tokens = [
        {"token": c, "logprob": math.log(p), "top_logprobs": [
            {"token": c, "logprob": math.log(p)}, {"token": "5", "logprob": math.log(1 - p)}
        ]} for c in REPLY
    ]  # fmt: skip
    return does.ok(REPLY, logprobs={"content": tokens})


@pytest.fixture(autouse=True)
def quick_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks' commands are processes of their own all the same, without the seconds that Python takes to start."""
    monkeypatch.setattr(subprocess, "run", run_forked)


@pytest.mark.parametrize(
    ("check", "engine", "script", "said"),
    [
        (check_judge, CONSTRAINING, does.ok(REPLY), "2 of 2 replies parse"),
        (check_judge, FREE, [does.ok(REPLY), does.prose()], "1 ok, 1 parse_error, each failure with its reason"),
        (check_judge, FREE, does.prose(), "2 parse_error, each failure with its reason; the command fails"),
        (check_logprobs, CONSTRAINING, reply(0.6), "the likeliest number has 0.60 to 0.60"),
        (check_logprobs, FREE, does.ok("Warmth: 4"), "the server gives none: 2 parse_error"),
    ],
)
def test_a_check_says_what_it_saw(tmp_path: Path, check: Callable, engine, script, said: str) -> None:
    with MisbehavingServer(script) as server:
        assert said in check(Runner(engine, server.url, tmp_path, 2))


@pytest.mark.parametrize(
    ("check", "engine", "script", "said"),
    [
        (check_judge, CONSTRAINING, [does.ok(REPLY), does.prose()], "'parse_error': 1"),
        (check_logprobs, CONSTRAINING, reply(1 - 1e-6), "4 distributions with one number alone"),
        (check_logprobs, CONSTRAINING, does.ok(REPLY), "exit status 1"),
        (check_quality, CONSTRAINING, does.prose(), "exit status 1"),
    ],
)
def test_a_check_fails_where_the_server_does_not_keep_it(tmp_path, check: Callable, engine, script, said: str) -> None:
    with MisbehavingServer(script) as server, pytest.raises(CheckError, match=said):
        check(Runner(engine, server.url, tmp_path, 2))
