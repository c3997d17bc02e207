from __future__ import annotations

import pytest

from efficient_empathy.selection.policy import make_policy


def chosen(scores, policy, s, r):
    row = make_policy(policy).assign(scores([(s, r)])).row(0, named=True)
    return row["subset"], row["reason"]


@pytest.mark.parametrize(
    ("s", "r", "subset", "reason"),
    [
        (8, 7, "rationality", "rationality 7 > 5"),
        (0, 6, "rationality", "rationality 6 > 5"),
        (8, 2, "sensibility", "sensibility 8 > 5 and rationality 2 < 5"),
        (8, 5, "discard", "rationality 5 = 5"),
        (4, 3, "discard", "sensibility 4 ≤ 5, rationality 3 ≤ 5"),
        (5, 5, "discard", "sensibility 5 ≤ 5, rationality 5 ≤ 5"),
        (0, 0, "discard", "sensibility 0 ≤ 5, rationality 0 ≤ 5"),
    ],
)
def test_paper(scores, s, r, subset, reason):
    assert chosen(scores, "paper", s, r) == (subset, reason)


@pytest.mark.parametrize(
    ("s", "r", "subset", "reason"),
    [
        (8, 2, "sensibility", "sensibility 8 > 5 and rationality 2 < 5"),
        (2, 8, "rationality", "rationality 8 > 5 and sensibility 2 < 5"),
        (8, 7, "discard", "sensibility 8 > 5, rationality 7 > 5"),
        (5, 8, "discard", "sensibility 5 = 5, rationality 8 > 5"),
        (8, 5, "discard", "sensibility 8 > 5, rationality 5 = 5"),
        (1, 2, "discard", "sensibility 1 < 5, rationality 2 < 5"),
    ],
)
def test_exclusive(scores, s, r, subset, reason):
    assert chosen(scores, "exclusive", s, r) == (subset, reason)


@pytest.mark.parametrize(
    ("s", "r", "subset", "reason"),
    [
        (8, 7, "both", "sensibility 8 > 5 and rationality 7 > 5"),
        (8, 5, "sensibility", "sensibility 8 > 5, rationality 5 ≤ 5"),
        (5, 7, "rationality", "rationality 7 > 5, sensibility 5 ≤ 5"),
        (5, 5, "discard", "sensibility 5 ≤ 5, rationality 5 ≤ 5"),
    ],
)
def test_both(scores, s, r, subset, reason):
    assert chosen(scores, "both", s, r) == (subset, reason)


def test_reasons_never_contradict_themselves_by_rounding(scores):
    assert chosen(scores, "paper", 1, 6.666667) == ("rationality", "rationality 6.67 > 5")
    assert chosen(scores, "paper", 1, 5.001) == ("rationality", "rationality 5.001 > 5")
