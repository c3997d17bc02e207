"""The real command against a real server whose judge reads the anchors in the prompt."""

import json
import os
import signal
import time
import xml.etree.ElementTree as ET
from collections import Counter

import pytest
import yaml
from typer.testing import CliRunner
from yarl import URL

from efficient_empathy.cli import app
from forked_command import ForkedCommand
from golden_sets import Opinionated, golden_set, shifted_rubric
from misbehaving_server import MisbehavingServer


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """A golden set of 200 items, and the result of a noisy judge on it."""
    root = tmp_path_factory.mktemp("tested")
    golden_set(root / "golden")
    (root / "shifted.yaml").write_text(yaml.safe_dump(shifted_rubric()), "utf-8")
    assert call(root, Opinionated(1)).exit_code == 0
    return root


def call(root, judge, *options, folder="out"):
    with MisbehavingServer(judge) as server:
        told = ["--judge", f"openai:m@{server.url}", "-o", str(root / folder), *map(str, options)]
        return CliRunner().invoke(app, ["prompts", "test", str(root / "golden"), *told])


def first(root):
    return root / "out" / "results" / "0001-m.json"


@pytest.mark.parametrize(
    ("judge", "rubric", "status", "shown"),
    [
        (Opinionated(2), None, 0, set()),
        (Opinionated(3), None, 0, set()),
        (Opinionated(4), "shifted.yaml", 4, {"shift", "subsets"}),
        (Opinionated(5, every_third=1), None, 4, {"shift"}),
        (Opinionated(6, more_noise=2), None, 4, {"noise"}),
        (Opinionated(7, fail=0.15), None, 4, {"failures"}),
        (Opinionated(8, add=0.15), None, 3, set()),
    ],
    ids=["unchanged", "unchanged again", "shifted anchors", "every third", "noisier", "fails", "a little"],
)
def test_planted_regressions_get_their_exit_status(tested, judge, rubric, status, shown) -> None:
    options = ["--rubric", tested / rubric] if rubric else []
    done = call(tested, judge, "--baseline", first(tested), "--json", *options)
    assert done.exit_code == status, done.stdout + done.stderr
    (found,) = json.loads(done.stdout)["results"]
    assert found["exit_code"] == status
    assert shown <= {check["name"] for check in found["checks"] if check["verdict"] == "regression"}


def test_another_decoding_is_incomparable(tested) -> None:
    done = call(tested, Opinionated(9), "--baseline", first(tested), "--temperature", "0.7", "-k", 1)
    assert done.exit_code == 6
    assert "decoding: temperature is 0.7, and was 0: ask with --temperature 0" in done.stdout


def test_a_small_set_is_insufficient(tested, tmp_path) -> None:
    golden_set(tmp_path / "golden", 15)
    done = call(tmp_path, Opinionated(1))
    assert done.exit_code == 5
    assert "items would do" in done.stdout


def test_reports_are_written_and_looking_again_asks_nobody(tested, tmp_path) -> None:
    junit, page = tmp_path / "t.xml", tmp_path / "t.md"
    asked_at = json.loads(first(tested).read_text("utf-8"))["judge"]["reference"].partition("@")[2]
    with MisbehavingServer(port=URL(asked_at).port) as server:
        told = ["--judge", f"openai:m@{server.url}", "-o", str(tested / "out"), "--reuse"]
        told += ["--junit", str(junit), "--markdown", str(page)]
        done = CliRunner().invoke(app, ["prompts", "test", str(tested / "golden"), *told])
        assert not server.requests
    assert done.exit_code in (0, 3, 4), done.stderr
    assert "quadratic kappa" in done.stdout
    assert "Next: efficient-empathy prompts test" in done.stdout
    assert int(ET.parse(junit).getroot().get("tests")) >= 4
    assert page.read_text("utf-8").startswith("# Prompt test of mine: ")


def test_a_dry_run_sends_nothing(tested, tmp_path) -> None:
    with MisbehavingServer() as server:
        told = ["--judge", f"openai:gpt-4o@{server.url}", "-o", str(tmp_path / "out"), "--dry-run", "--json"]
        done = CliRunner().invoke(app, ["prompts", "test", str(tested / "golden"), *told])
        assert not server.requests
    plan = json.loads(done.stdout)
    assert plan["requests"] == 600
    assert 0 < plan["cost_usd"] < plan["max_cost_usd"]


def start(root, url, *options):
    told = [
        "prompts",
        "test",
        str(root / "golden"),
        "--judge",
        f"openai:m@{url}",
        "-o",
        str(root / "out"),
        "--concurrency",
        "4",
        *options,
    ]
    return ForkedCommand(*told)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_it_pays_twice_only_for_what_was_in_flight(tmp_path) -> None:
    golden_set(tmp_path / "golden", 60)
    with MisbehavingServer(Opinionated(1), latency_s=0.005) as server:
        process = start(tmp_path, server.url)
        wait_for(lambda: len(server.requests) >= 90)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        out, err = start(tmp_path, server.url, "--json").communicate()
        assert 180 <= len(server.requests) <= 184
    (found,) = json.loads(out)["results"]
    assert found["states"]["ok"] == 180, err
    marks = Counter(json.dumps(body["messages"]) for body in server.requests)
    assert set(marks.values()) <= {3, 4}


def test_ctrl_c_says_how_to_go_on_and_gives_no_verdict(tmp_path) -> None:
    golden_set(tmp_path / "golden", 60)
    with MisbehavingServer(Opinionated(1), latency_s=0.3) as server:
        process = start(tmp_path, server.url)
        wait_for(lambda: len(server.requests) == 4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert "4 of 180 judgements are made and kept; the same command goes on from there" in err
    assert not out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--judge", "gpt"], "'gpt' names no judge: write distilled"),
        (["--baseline", "nowhere.json"], "cannot read nowhere.json"),
        (["--baseline", "latest"], "no earlier result: test once without --baseline"),
        (["--policy", "top"], "take a policy of rules"),
        (["--rubric", "quality"], "items.jsonl:1: it expects a score for 'sensibility'"),
        (["--reuse"], "leave --reuse out to ask"),
    ],
)
def test_an_error_is_one_sentence(tested, tmp_path, options, said) -> None:
    done = CliRunner().invoke(app, ["prompts", "test", str(tested / "golden"), "-o", str(tmp_path / "new"), *options])
    assert done.exit_code == 1
    assert said in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr
