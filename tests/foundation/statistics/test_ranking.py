import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.statistics.ranking import bradley_terry, comparable, identifiable, rank

NAMES = ("moe", "base", "average", "random")
wins = arrays(np.float64, st.integers(2, 5).map(lambda k: (k, k)), elements=st.sampled_from([0.0, 0, 0.5, 1, 3, 12]))


def test_two_systems_have_the_log_odds() -> None:
    first, second = bradley_terry(np.array([[0.0, 30], [10, 0]]))
    assert first - second == pytest.approx(np.log(3))
    assert first + second == pytest.approx(0)


@given(wins)
@settings(deadline=None)
def test_every_system_wins_as_often_as_the_model_expects(table) -> None:
    np.fill_diagonal(table, 0)
    if not identifiable(table):
        return
    strengths = bradley_terry(table)
    probability = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
    assert ((table + table.T) * probability).sum(1) == pytest.approx(table.sum(1), rel=1e-6)
    assert strengths.mean() == pytest.approx(0, abs=1e-9)


def test_it_is_the_logistic_regression_of_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api")
    table = np.array([[0, 7, 9, 4], [3, 0, 6, 8], [2, 4, 0, 5.5], [6, 1, 4.5, 0]])
    rows, won = [], []
    for i in range(4):
        for j in range(i + 1, 4):
            rows.append([(k == i) - (k == j) for k in range(3)])
            won.append([table[i, j], table[j, i]])
    fitted = sm.GLM(np.array(won), np.array(rows, float), family=sm.families.Binomial()).fit().params
    ours = bradley_terry(table)
    assert ours[:3] - ours[3] == pytest.approx(fitted, abs=1e-6)


def test_the_strongest_comes_first_with_an_interval_around_it() -> None:
    table = np.array([[0, 30, 35], [20, 0, 28], [15, 22, 0.0]])
    rng = np.random.default_rng(0)
    drawn = rng.binomial(50, table / 50, (200, 3, 3)).astype(float)
    drawn = np.triu(drawn) + np.tril(50 - np.swapaxes(drawn, 1, 2), -1)
    ranking = rank(NAMES[:3], table, drawn)
    assert [one.name for one in ranking.systems] == ["moe", "base", "average"]
    assert all(one.low < one.strength < one.high for one in ranking.systems)
    assert ranking.notes == []
    assert ranking.systems[0].strength - ranking.systems[1].strength == pytest.approx(np.log(30 / 20), abs=0.1)


def test_a_system_that_won_everything_is_first_and_finite_and_the_note_says_why() -> None:
    table = np.array([[0, 10, 10], [0, 0, 6], [0, 4, 0.0]])
    ranking = rank(NAMES[:3], table)
    assert [one.name for one in ranking.systems] == ["moe", "base", "average"]
    assert 0 < ranking.systems[0].strength < 5
    assert "one tie is added to every pair compared, because here a system" in ranking.notes[0]


def test_one_draw_that_is_not_identifiable_regularises_all_alike() -> None:
    table = np.array([[0, 9.0], [1, 0]])
    drawn = np.array([[[0, 10.0], [0, 0]], [[0, 8.0], [2, 0]]])
    ranking = rank(NAMES[:2], table, drawn)
    assert "in 1 of 2 draws" in ranking.notes[0]
    assert ranking.systems[0].strength * 2 == pytest.approx(np.log(9.5 / 1.5))
    assert np.isfinite([ranking.systems[0].low, ranking.systems[0].high]).all()


def test_systems_that_nothing_compares_are_no_ranking() -> None:
    table = np.zeros((4, 4))
    table[0, 1] = table[1, 0] = table[2, 3] = table[3, 2] = 5
    assert comparable(table) == [[0, 1], [2, 3]]
    with pytest.raises(UserError, match=r"nothing compares \{moe, base\} and \{average, random\} with one another"):
        rank(NAMES, table)


def test_a_third_connects_systems_that_never_met() -> None:
    table = np.array([[0, 6, 0], [4, 0, 7], [0, 3, 0.0]])
    assert identifiable(table)
    assert [one.name for one in rank(NAMES[:3], table).systems] == ["moe", "base", "average"]
