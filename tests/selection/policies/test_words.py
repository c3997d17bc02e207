from __future__ import annotations

import pytest

from efficient_empathy.selection.policies import flips, load_policy, make_selector, policy_of_definition


def test_every_threshold_moves_as_two_selections_show(table, care) -> None:
    policy = policy_of_definition(
        {
            "name": "mine",
            "thresholds": {"short": 3, "least": 3},
            "rules": [{"discard": "response_words < short"}, {"warm": "sensibility > least"}],
        }
    )
    frame = table(care, 200)
    moved = flips(make_selector(policy, care), frame)
    assert list(moved) == ["short-1", "short+1", "least-1", "least+1"]
    before, after = (
        make_selector(one, care).assign(frame)["subset"] for one in (policy, policy.with_thresholds(short=4))
    )
    assert moved["short+1"] == (before != after).sum() > 0


@pytest.mark.parametrize("name", ["paper", "exclusive", "both"])
@pytest.mark.parametrize(("alpha", "beta"), [(5, 5), (11, -1), (4.5, 6)])
@pytest.mark.parametrize("distributions", [False, True])
def test_a_threshold_stays_within_reach_of_the_scale(table, empathy, name, alpha, beta, distributions) -> None:
    frame = table(empathy, 100, failures=True, distributions=distributions)
    policy = load_policy(name, {"alpha": alpha, "beta": beta})
    result = flips(make_selector(policy, empathy), frame)
    before = make_selector(policy, empathy).plan(frame.lazy()).collect()["subset"]
    for threshold, value in (("alpha", alpha), ("beta", beta)):
        for step in (-1, 1):
            moved = policy.with_thresholds(**{threshold: min(11, max(-1, value + step))})
            after = make_selector(moved, empathy).plan(frame.lazy()).collect()["subset"]
            assert result[f"{threshold}{step:+d}"] == (before != after).sum()
