import numpy as np
import pytest

from efficient_empathy.prompts.settings import Tolerances
from efficient_empathy.prompts.testing.checks import Setting, checks
from efficient_empathy.prompts.testing.readings import Expected, Readings, WatchedRules
from efficient_empathy.prompts.testing.verdicts import EXIT, decide, worst
from efficient_empathy.selection.policies import load_policy

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
    found = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        thought = thoughts(rng)
        found.append(verdict(read(rng, thought), read(rng, thought)).verdict)
    assert found == ["pass"] * 50


def test_so_it_does_against_one_reading_of_its_own() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        thought = thoughts(rng)
        once = read(rng, thought, 1).scores[:, 0]
        found = verdict(read(rng, thought), Expected(AXES, once, once), noise=True)
        assert found.verdict == "pass", found
        assert len(of(found, "noise")) == 2


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
    found = verdict(read(rng, thought, **{**quiet, **planted}), read(rng, thought, **quiet))
    expected, check = verdict_of
    assert found.verdict == expected
    assert expected in {one.verdict for one in of(found, check)}


def test_a_judge_that_became_noisier_is_found_against_one_reading_of_its_own() -> None:
    rng = np.random.default_rng(2)
    thought = thoughts(rng)
    once = read(rng, thought, 1).scores[:, 0]
    found = verdict(read(rng, thought, spread=3), Expected(AXES, once, once), noise=True)
    assert {check.verdict for check in of(found, "noise")} == {"regression"}
    assert {check.verdict for check in of(found, "shift")} <= {"pass", "insufficient"}


def test_a_small_set_is_insufficient_and_says_how_many_items_would_do() -> None:
    rng = np.random.default_rng(3)
    thought = thoughts(rng, 20)
    found = verdict(read(rng, thought), read(rng, thought))
    assert found.verdict == "insufficient"
    assert 60 <= found.items_needed <= 300
    thought = thoughts(rng, 2 * found.items_needed)
    assert verdict(read(rng, thought), read(rng, thought)).verdict == "pass"


def test_a_few_items_that_all_agree_show_nothing_about_rare_changes() -> None:
    rng = np.random.default_rng(4)
    thought = thoughts(rng, 10)
    same = read(rng, thought, spread=0)
    found = verdict(same, same)
    assert found.verdict == "insufficient"
    assert found.items_needed == 60
    big = read(rng, thoughts(rng), spread=0)
    assert verdict(big, big).verdict == "pass"


def test_a_regression_is_found_in_a_set_that_is_too_small_for_the_rest() -> None:
    rng = np.random.default_rng(5)
    thought = thoughts(rng, 30)
    found = verdict(read(rng, np.maximum(0, thought - 3)), read(rng, thought))
    assert found.verdict == "regression"


def test_judged_once_a_change_of_subset_cannot_be_told_from_noise() -> None:
    rng = np.random.default_rng(6)
    thought = thoughts(rng)
    (check,) = of(verdict(read(rng, thought, 1), read(rng, thought, 1)), "subsets")
    assert (check.verdict, check.items_needed) == ("insufficient", None)
    assert "judge it twice or more" in check.note


def test_a_judge_that_always_fails_is_a_regression_without_any_score() -> None:
    rng = np.random.default_rng(7)
    thought = thoughts(rng)
    found = verdict(read(rng, thought, fail=1.0), read(rng, thought))
    assert (found.verdict, [check.name for check in found.checks]) == ("regression", ["failures"])


def test_a_judge_that_repeats_itself_within_a_day_and_not_between_days_has_not_shifted() -> None:
    rng = np.random.default_rng(8)
    thought = thoughts(rng)
    days = [np.repeat(read(rng, thought, 1).scores, 3, axis=1) for _ in range(2)]
    found = verdict(*(Readings(AXES, scores, np.ones((N, 3), dtype=bool)) for scores in days))
    assert {check.verdict for check in of(found, "shift")} == {"pass"}


def test_the_worst_verdict_stands_for_all() -> None:
    assert worst(["pass", "soft", "insufficient"]) == "insufficient"
    assert worst(["insufficient", "incomparable", "regression"]) == "regression"
    assert EXIT == {"pass": 0, "soft": 3, "regression": 4, "insufficient": 5, "incomparable": 6}
