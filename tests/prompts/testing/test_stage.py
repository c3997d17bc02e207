import json
from dataclasses import replace

import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.testing.results import read_result
from efficient_empathy.prompts.testing.stage import Procedure, run_tests
from efficient_empathy.prompts.testing.verdicts import Tolerances
from golden_sets import Opinionated, golden_set
from misbehaving_server import MisbehavingServer
from misbehaviours import unauthorized

QUIET = Console(quiet=True)
LOOSE = Tolerances(shift=2, noise=2, subsets=0.9, failures=0.9)
"""For sets that are too small for the usual tolerances."""


@pytest.fixture
def folder(tmp_path):
    return golden_set(tmp_path / "g", 40)


def go(folder, server, procedure=None, **options):
    told = {"model": "m", "base_url": server.url, **options}
    procedure = procedure or Procedure(tolerances=LOOSE)
    return run_tests(folder, ["openai"], None, procedure, told, output=folder.parent / "out", console=QUIET)


def test_a_result_has_every_reading_and_what_it_took(folder) -> None:
    with MisbehavingServer(Opinionated(1, fail=0.1)) as server:
        record = go(folder, server)
    (found,) = record["results"]
    kept = read_result(folder.parent / "out" / "results" / "0001-m.json")
    assert {len(item["rounds"]) for item in kept["items"]} == {3}
    assert sum(kept["states"].values()) == 120
    failed = [told for item in kept["items"] for told in item["rounds"] if told["state"] != "ok"]
    assert kept["states"]["parse_error"] == len(failed) > 0
    assert all("scores" not in told for told in failed)
    assert kept["usage"] == {"requests": 120, "prompt_tokens": 2400, "completion_tokens": 480, "cost_usd": 0}
    assert {k: v for k, v in found.items() if k != "result"} == kept
    for axis in ("sensibility", "rationality"):
        value, low, high = kept["figures"][axis]["mean_shift"]
        assert low <= value <= high
        assert 0 < kept["repeatability"][axis]["identical"][0] < 1
    assert kept["changes"]["items"] == 40


def test_a_finished_test_asks_anew_and_an_interrupted_one_goes_on(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server:
        go(folder, server)
        go(folder, server)
        assert len(server.requests) == 240
    second = read_result(folder.parent / "out" / "results" / "0002-m.json")
    assert second["rounds"] == [4, 5, 6]
    opinionated = Opinionated(1)
    denied = unauthorized()
    with MisbehavingServer(lambda body, n: opinionated(body, n) if n < 50 else denied) as server:
        with pytest.raises(UserError, match="judgements are made and kept; the same command goes on"):
            go(folder, server, concurrency=1)
        assert len(list((folder.parent / "out" / "results").iterdir())) == 2
    with MisbehavingServer(Opinionated(1)) as server:
        go(folder, server)
        assert len(server.requests) == 70


def test_the_latest_result_is_the_baseline_and_looking_again_costs_nothing(folder) -> None:
    latest = Procedure(tolerances=LOOSE, baseline="latest")
    with MisbehavingServer(Opinionated(1)) as server:
        with pytest.raises(UserError, match="no earlier result: test once without --baseline"):
            go(folder, server, latest)
        assert not server.requests
        go(folder, server)
        second = go(folder, server, latest)
        asked = len(server.requests)
        again = go(folder, server, replace(latest, reuse=True))
        assert len(server.requests) == asked
    assert second["results"][0]["baseline"] == {"name": "0001-m.json", "kind": "result"}
    assert {check["name"] for check in second["results"][0]["checks"]} == {"shift", "noise", "subsets", "failures"}
    assert again == second
    assert second["results"][0]["against_baseline"]["sensibility"]["exact"][0] < 1


def test_what_differs_is_incomparable(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server:
        go(folder, server)
        first = folder.parent / "out" / "results" / "0001-m.json"
        told = read_result(first)
        told["parser"] = "f" * 16
        first.write_text(json.dumps(told), "utf-8")
        record = go(folder, server, Procedure(tolerances=LOOSE, baseline=str(first)))
        other = golden_set(folder.parent / "h", 41)
        third = go(other, server, Procedure(tolerances=LOOSE, baseline=str(first)))
    assert (record["verdict"], record["exit_code"]) == ("incomparable", 6)
    assert [one["what"] for one in record["results"][0]["differences"]] == ["parser"]
    assert [one["what"] for one in third["results"][0]["differences"]] == ["corpus", "parser"]


def test_thresholds_can_be_changed(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server:
        record = go(folder, server, Procedure(tolerances=LOOSE, policy="both", alpha=7))
    changes = record["results"][0]["changes"]
    assert (changes["policy"], changes["alpha"], changes["beta"]) == ("both", 7, 5)
    assert read_golden(folder).thresholds.policy == "paper"


def test_a_budget_that_ends_gives_no_verdict(folder, tmp_path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("m: {input: 1000, output: 1000}\n", "utf-8")
    with MisbehavingServer(Opinionated(1)) as server, pytest.raises(UserError, match="budget ends here: a higher"):
        go(folder, server, max_cost=4.0, prices=prices)
    assert not (folder.parent / "out" / "results").exists()
