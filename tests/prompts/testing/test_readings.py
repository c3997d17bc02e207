import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.prompts.testing.readings import NONE, Expected, Readings, Thresholds, pairs_alike

AXES = ("sensibility", "rationality")
ITEMS = [
    {"rounds": [{"state": "ok", "scores": {"sensibility": 8, "rationality": 2}}] * 2},
    {"rounds": [{"state": "ok", "scores": {"sensibility": 4, "rationality": 6}}, {"state": "refused"}]},
    {"rounds": [{"state": "parse_error"}, {"state": None}]},
]


def test_failures_are_never_scores() -> None:
    readings = Readings.of(ITEMS, AXES)
    assert readings.failures.tolist() == [0.0, 0.5, 1.0]
    assert readings.means()[:2].tolist() == [[8, 2], [4, 6]]
    assert np.isnan(readings.means()[2]).all()
    assert np.isnan(readings.variances()).tolist() == [[False, False], [True, True], [True, True]]
    assert readings.same()[0].tolist() == [1.0, 1.0]


def test_subsets_are_those_of_the_policy() -> None:
    codes = Readings.of(ITEMS, AXES).subsets(Thresholds())
    names = [[Thresholds().subsets[c] if c != NONE else None for c in row] for row in codes]
    assert names == [["sensibility", "sensibility"], ["rationality", None], [None, None]]
    assert Readings.of([], ("warmth",)).subsets(Thresholds()) is None


def test_ranges() -> None:
    expected = Expected.of([{"sensibility": (6, 8), "rationality": (4, 5)}], AXES)
    assert not expected.numbers[0]
    assert expected.nearest(np.array([[[9.0, 4.5], [7.0, 0.0]]]))[0].tolist() == [[8, 4.5], [7, 4]]
    permitted = expected.permits(Thresholds())[0]
    assert {s for s, there in zip(Thresholds().subsets, permitted, strict=True) if there} == {"sensibility", "discard"}


def test_pairs_of_readings() -> None:
    one, other = np.array([[1, 1, NONE]]), np.array([[1, 2, 2]])
    assert pairs_alike(one, other).tolist() == [pytest.approx(1 / 3)]
    assert pairs_alike(other, other, within=True).tolist() == [pytest.approx(1 / 3)]
    assert np.isnan(pairs_alike(np.array([[NONE]]), other)[0])


def test_a_policy_without_thresholds_is_declined() -> None:
    with pytest.raises(UserError, match="choose one of paper, exclusive, both"):
        Thresholds.of(None, policy="top")
