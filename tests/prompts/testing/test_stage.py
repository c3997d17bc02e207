import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.settings import Procedure, Tolerances
from efficient_empathy.prompts.testing.records import read_result
from efficient_empathy.prompts.testing.stage import run_tests
from efficient_empathy.prompts.testing.summary import summary
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
        run = go(folder, server)
    ((path, found),) = run.results
    stored = read_result(folder.parent / "out" / "results" / "0001-m.json")
    assert stored == found
    assert path.name == "0001-m.json"
    assert {len(item.rounds) for item in stored.items} == {3}
    assert sum(stored.states.values()) == 120
    failed = [reading for item in stored.items for reading in item.rounds if reading.state != "ok"]
    assert stored.states["parse_error"] == len(failed) > 0
    assert all(reading.scores is None for reading in failed)
    usage = {"requests": 120, "prompt_tokens": 2400, "completion_tokens": 480, "cost_usd": 0}
    assert stored.usage.model_dump() == usage
    for axis in ("sensibility", "rationality"):
        value, low, high = stored.figures[axis]["mean_shift"]
        assert low <= value <= high
        assert 0 < stored.repeatability[axis]["identical"][0] < 1
    assert stored.changes.items == 40


def test_a_finished_test_asks_anew_and_an_interrupted_one_goes_on(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server:
        go(folder, server)
        go(folder, server)
        assert len(server.requests) == 240
    second = read_result(folder.parent / "out" / "results" / "0002-m.json")
    assert second.rounds == (4, 5, 6)
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
        again = go(folder, server, latest.model_copy(update={"reuse": True}))
        assert len(server.requests) == asked
    assert second.results[0][1].baseline.model_dump() == {"name": "0001-m.json", "kind": "result"}
    assert {check.name for check in second.results[0][1].checks} == {"shift", "noise", "subsets", "failures"}
    assert again == second
    assert second.results[0][1].against_baseline["sensibility"]["exact"][0] < 1


def test_what_differs_is_incomparable(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server:
        go(folder, server)
        first = folder.parent / "out" / "results" / "0001-m.json"
        read_result(first).model_copy(update={"parser": "f" * 16}).write(first)
        record = go(folder, server, Procedure(tolerances=LOOSE, baseline=str(first)))
        other = golden_set(folder.parent / "h", 41)
        third = go(other, server, Procedure(tolerances=LOOSE, baseline=str(first)))
    assert (record.verdict, record.exit_code) == ("incomparable", 6)
    assert [one.what for one in record.results[0][1].mismatches] == ["parser"]
    assert [one.what for one in third.results[0][1].mismatches] == ["corpus", "parser"]


def test_thresholds_can_be_changed(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server:
        record = go(folder, server, Procedure(tolerances=LOOSE, policy="both", alpha=7))
    policy = record.results[0][1].policy
    assert (policy.name, policy.thresholds) == ("both", {"alpha": 7, "beta": 5})
    assert read_golden(folder).manifest.policy.name == "paper"


def test_a_policy_without_rules_is_declined(folder) -> None:
    with MisbehavingServer(Opinionated(1)) as server, pytest.raises(UserError, match="take a policy of rules"):
        go(folder, server, Procedure(policy="top"))


def test_a_policy_of_one_axis_may_be_watched(folder, tmp_path) -> None:
    path = tmp_path / "warm.yaml"
    path.write_text("name: warm\nthresholds: {bar: 6}\nrules: [{warm: sensibility > bar}]\notherwise: cool\n")
    with MisbehavingServer(Opinionated(1)) as server:
        record = go(folder, server, Procedure(tolerances=LOOSE, policy=str(path), thresholds={"bar": 4}))
    result = record.results[0][1]
    assert {name for flow in result.changes.flows for name in (flow.before, flow.now)} <= {"warm", "cool"}
    assert "at warm, bar = 4" in summary(record)


def test_a_budget_that_ends_gives_no_verdict(folder, tmp_path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("m: {input: 1000, output: 1000}\n", "utf-8")
    with MisbehavingServer(Opinionated(1)) as server, pytest.raises(UserError, match="budget ends here: a higher"):
        go(folder, server, max_cost=4.0, prices=prices)
    assert not (folder.parent / "out" / "results").exists()
