import numpy as np
import pytest

from efficient_empathy.prompts.testing.readings import NONE, Expectations, Readings, WatchedRules, pairs_alike
from efficient_empathy.prompts.testing.records import ItemRounds
from efficient_empathy.selection.policies import load_policy, policy_of_definition
from scored_runs import numbered

AXES = ("sensibility", "rationality")


def item(*rounds):
    return ItemRounds.model_validate({"id": "i", "dialogue_id": "d", "category": None, "rounds": rounds})


ITEMS = [
    item(*[{"state": "ok", "scores": {"sensibility": 8, "rationality": 2}}] * 2),
    item({"state": "ok", "scores": {"sensibility": 4, "rationality": 6}}, {"state": "refused"}),
    item({"state": "parse_error"}, {"state": None}),
]


def paper():
    policy = load_policy("paper")
    return WatchedRules.of(policy, dict.fromkeys(AXES, (0, 10)), [])


def test_failures_are_never_scores() -> None:
    readings = Readings.of(ITEMS, AXES)
    assert readings.failures.tolist() == [0.0, 0.5, 1.0]
    assert readings.means()[:2].tolist() == [[8, 2], [4, 6]]
    assert np.isnan(readings.means()[2]).all()
    assert np.isnan(readings.variances()).tolist() == [[False, False], [True, True], [True, True]]
    assert readings.same()[0].tolist() == [1.0, 1.0]


def test_subsets_are_those_of_the_policy() -> None:
    codes = Readings.of(ITEMS, AXES).subsets(paper())
    names = [[paper().subsets[c] if c != NONE else None for c in row] for row in codes]
    assert names == [["sensibility", "sensibility"], ["rationality", None], [None, None]]


def test_a_policy_of_one_axis_and_a_fact_needs_neither_the_other_axes_nor_a_threshold() -> None:
    policy = policy_of_definition(
        {"name": "long", "rules": [{"long": "response_words > 3 and warmth >= 2"}], "otherwise": "rest"}
    )
    samples = [numbered(0, response="one two three four"), numbered(1, response="one two")]
    rules = WatchedRules.of(policy, {"care": (0, 5), "warmth": (1, 3)}, samples)
    scores = np.array([[[np.nan, 2], [0, 1]], [[1, 3], [1, np.nan]]], dtype=float)
    assert rules.codes(scores, ("care", "warmth")).tolist() == [[0, 1], [1, NONE]]
    expected = Expectations.of([{"care": (0, 0), "warmth": (1, 3)}] * 2, ("care", "warmth"))
    assert expected.permits(rules).tolist() == [[True, True], [False, True]]


def test_ranges() -> None:
    expected = Expectations.of([{"sensibility": (6, 8), "rationality": (4, 5)}], AXES)
    assert not expected.numbers[0]
    assert expected.nearest(np.array([[[9.0, 4.5], [7.0, 0.0]]]))[0].tolist() == [[8, 4.5], [7, 4]]
    permitted = expected.permits(paper())[0]
    assert {s for s, there in zip(paper().subsets, permitted, strict=True) if there} == {"sensibility", "discard"}


def test_pairs_of_readings() -> None:
    one, other = np.array([[1, 1, NONE]]), np.array([[1, 2, 2]])
    assert pairs_alike(one, other).tolist() == [pytest.approx(1 / 3)]
    assert pairs_alike(other, other, within=True).tolist() == [pytest.approx(1 / 3)]
    assert np.isnan(pairs_alike(np.array([[NONE]]), other)[0])
