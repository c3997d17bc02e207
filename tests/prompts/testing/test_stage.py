import numpy as np
import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.settings import Procedure, Tolerances
from efficient_empathy.prompts.testing.checks import Setting, checks
from efficient_empathy.prompts.testing.readings import Expectations, Readings, WatchedRules
from efficient_empathy.prompts.testing.records import read_result
from efficient_empathy.prompts.testing.stage import EXIT, decide, run_tests, worst
from efficient_empathy.prompts.testing.summary import summary
from efficient_empathy.selection.policies import load_policy
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
    values = {"model": "m", "base_url": server.url, **options}
    procedure = procedure or Procedure(tolerances=LOOSE)
    return run_tests(folder, ["openai"], None, procedure, values, output=folder.parent / "out", console=QUIET)


def test_a_result_has_every_reading_and_what_it_took(folder) -> None:
    with MisbehavingServer(Opinionated(1, fail=0.1)) as server:
        run = go(folder, server)
    ((path, result),) = run.results
    stored = read_result(folder.parent / "out" / "results" / "0001-m.json")
    assert stored == result
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
    with MisbehavingServer(lambda body, n: opinionated(body, n) if n < 50 else denied, port=server.port) as server:
        with pytest.raises(UserError, match="judgements are made and kept; the same command goes on"):
            go(folder, server, concurrency=1)
        assert len(list((folder.parent / "out" / "results").iterdir())) == 2
    with MisbehavingServer(Opinionated(1), port=server.port) as server:
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


AXES = ("sensibility", "rationality")
PAPER = WatchedRules.of(load_policy("paper"), dict.fromkeys(AXES, (0, 10)), [])
N = 200


def thoughts(rng, n=N):
    return np.clip(np.round(rng.normal((6.5, 4.0), 2.0, (n, 2))), 0, 10)


def read(rng, thought, k=3, *, spread=1, add=0.0, fail=0.0, moved=0.0):
    """k readings with whole noise that is even over −spread … spread, on the scale."""
    shape = (len(thought), k, 2)
    scores = thought[:, None] + rng.integers(-spread, spread + 1, shape) + (rng.random(shape) < add)
    scores = scores + (rng.random((len(thought), 1, 2)) < moved)
    scores = np.clip(scores, 0, 10).astype(float)
    scores[rng.random(shape[:2]) < fail] = np.nan
    return Readings(AXES, scores, np.ones(shape[:2], dtype=bool))


def verdict(now, before, tolerances=None, noise=False):
    tolerances, n = tolerances or Tolerances(), len(now.scores)
    setting = Setting([str(i) for i in range(n)], np.ones(n), 0, tolerances.confidence)
    return decide(checks(now, before, PAPER, setting, noise=noise), tolerances)


def of(found, name):
    return [check for check in found.checks if check.name == name]


def test_an_unchanged_noisy_judge_passes_fifty_times_of_fifty() -> None:
    """Noise of a whole point up or down in two of three readings."""
    result = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        thought = thoughts(rng)
        result.append(verdict(read(rng, thought), read(rng, thought)).verdict)
    assert result == ["pass"] * 50


def test_so_it_does_against_one_reading_of_its_own() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        thought = thoughts(rng)
        once = read(rng, thought, 1).scores[:, 0]
        result = verdict(read(rng, thought), Expectations(AXES, once, once), noise=True)
        assert result.verdict == "pass", result
        assert len(of(result, "noise")) == 2


@pytest.mark.parametrize(
    ("planted", "verdict_of"),
    [
        ({"add": 1 / 3}, ("regression", "shift")),
        ({"spread": 3}, ("regression", "noise")),
        ({"fail": 0.15}, ("regression", "failures")),
        ({"moved": 0.12}, ("soft", "shift")),
        ({"fail": 0.03}, ("soft", "failures")),
    ],
)
def test_what_is_planted_is_found(planted, verdict_of) -> None:
    rng = np.random.default_rng(1)
    thought, quiet = thoughts(rng), {} if "spread" in planted else {"spread": 0}
    result = verdict(read(rng, thought, **{**quiet, **planted}), read(rng, thought, **quiet))
    expected, check = verdict_of
    assert result.verdict == expected
    assert expected in {one.verdict for one in of(result, check)}


def test_a_judge_that_became_noisier_is_found_against_one_reading_of_its_own() -> None:
    rng = np.random.default_rng(2)
    thought = thoughts(rng)
    once = read(rng, thought, 1).scores[:, 0]
    result = verdict(read(rng, thought, spread=3), Expectations(AXES, once, once), noise=True)
    assert {check.verdict for check in of(result, "noise")} == {"regression"}
    assert {check.verdict for check in of(result, "shift")} <= {"pass", "insufficient"}


def test_a_small_set_is_insufficient_and_says_how_many_items_would_do() -> None:
    rng = np.random.default_rng(3)
    thought = thoughts(rng, 20)
    result = verdict(read(rng, thought), read(rng, thought))
    assert result.verdict == "insufficient"
    assert 60 <= result.items_needed <= 300
    thought = thoughts(rng, 2 * result.items_needed)
    assert verdict(read(rng, thought), read(rng, thought)).verdict == "pass"


def test_a_few_items_that_all_agree_show_nothing_about_rare_changes() -> None:
    rng = np.random.default_rng(4)
    thought = thoughts(rng, 10)
    same = read(rng, thought, spread=0)
    result = verdict(same, same)
    assert result.verdict == "insufficient"
    assert result.items_needed == 60
    big = read(rng, thoughts(rng), spread=0)
    assert verdict(big, big).verdict == "pass"


def test_a_regression_is_found_in_a_set_that_is_too_small_for_the_rest() -> None:
    rng = np.random.default_rng(5)
    thought = thoughts(rng, 30)
    result = verdict(read(rng, np.maximum(0, thought - 3)), read(rng, thought))
    assert result.verdict == "regression"


def test_judged_once_a_change_of_subset_cannot_be_told_from_noise() -> None:
    rng = np.random.default_rng(6)
    thought = thoughts(rng)
    (check,) = of(verdict(read(rng, thought, 1), read(rng, thought, 1)), "subsets")
    assert (check.verdict, check.items_needed) == ("insufficient", None)
    assert "judge it twice or more" in check.note


def test_a_judge_that_always_fails_is_a_regression_without_any_score() -> None:
    rng = np.random.default_rng(7)
    thought = thoughts(rng)
    result = verdict(read(rng, thought, fail=1.0), read(rng, thought))
    assert (result.verdict, [check.name for check in result.checks]) == ("regression", ["failures"])


def test_a_judge_that_repeats_itself_within_a_day_and_not_between_days_has_not_shifted() -> None:
    rng = np.random.default_rng(8)
    thought = thoughts(rng)
    days = [np.repeat(read(rng, thought, 1).scores, 3, axis=1) for _ in range(2)]
    result = verdict(*(Readings(AXES, scores, np.ones((N, 3), dtype=bool)) for scores in days))
    assert {check.verdict for check in of(result, "shift")} == {"pass"}


def test_the_worst_verdict_stands_for_all() -> None:
    assert worst(["pass", "soft", "insufficient"]) == "insufficient"
    assert worst(["insufficient", "incomparable", "regression"]) == "regression"
    assert EXIT == {"pass": 0, "soft": 3, "regression": 4, "insufficient": 5, "incomparable": 6}
