import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.panel import Panel, pool_columns, pool_scores
from judge_specs import spec_of

RUBRIC = Rubric.load()
AXIS = RUBRIC.axes[0]
VOTES = st.lists(st.lists(st.none() | st.integers(0, 10), min_size=4, max_size=4), min_size=1, max_size=5)


def judged(sensibility: float, rationality: float = 3.0, **options) -> Judgement:
    return Judgement("s", "ok", "j", "r", {"sensibility": sensibility, "rationality": rationality}, **options)


def failed(state: str = "refused") -> Judgement:
    return Judgement("s", state, "j", "r")


def one(axis: str, *judgements: Judgement, pool: str = "mean") -> float:
    return pool_columns([list(judgements)], RUBRIC, pool)[axis][0]


@given(VOTES)
def test_mean_and_median_are_those_of_the_judges_that_have_a_score(rows) -> None:
    votes = np.array(rows, dtype=float)
    for k in range(4):
        given_ = [row[k] for row in rows if row[k] is not None]
        if given_:
            assert pool_scores(votes, AXIS, "mean")[k] == pytest.approx(statistics.mean(given_))
            assert pool_scores(votes, AXIS, "median")[k] == statistics.median(given_)


@given(VOTES)
def test_a_vote_is_the_most_frequent_then_nearest_the_median_then_lowest(rows) -> None:
    votes = np.array(rows, dtype=float)
    for k in range(4):
        given_ = [row[k] for row in rows if row[k] is not None]
        if given_:
            counts, median = Counter(given_), statistics.median(given_)
            best = min(counts, key=lambda score: (-counts[score], abs(score - median), score))
            assert pool_scores(votes, AXIS, "vote")[k] == best


def test_a_vote_takes_expected_scores_for_the_whole_number_they_are_next_to() -> None:
    assert one("sensibility", judged(6.6), judged(7.3), judged(2), pool="vote") == 7


def test_only_ok_judgements_are_pooled() -> None:
    result = pool_columns([[judged(4), failed(), judged(8, 6)], [failed("api_error"), failed()], []], RUBRIC, "mean")
    assert result["state"] == ["ok", "api_error", None]
    assert result["sensibility"][0] == 6
    assert np.isnan(result["sensibility"][1:]).all()
    assert result["judgements"].tolist() == [2, 0, 0]
    assert result["disagreement"][0] == 4  # on sensibility; 3 on rationality
    assert np.isnan(result["disagreement"][1:]).all()


def test_the_spread_is_that_between_judgements_and_unknown_for_one() -> None:
    assert one("sensibility_std", judged(4), judged(8)) == 2
    assert one("sensibility_std", judged(7), judged(7)) == 0
    assert np.isnan(one("sensibility_std", judged(4)))
    assert np.isnan(one("disagreement", judged(4)))


def test_with_distributions_the_spread_is_the_mixtures() -> None:
    half = [0.5 if i in (4, 6) else 0.0 for i in range(11)]  # mean 5, variance 1
    point = [float(i == 3) for i in range(11)]
    table = {"sensibility": half, "rationality": point}
    assert one("sensibility_std", judged(5, probabilities=table)) == pytest.approx(1)
    mixture = np.repeat([4.0, 6.0, 9.0], [1, 1, 2])
    assert one("sensibility_std", judged(5, probabilities=table), judged(9)) == pytest.approx(mixture.std())


def test_first_asks_the_next_judge_only_where_the_one_before_has_no_score(tmp_path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(spec_of("a"), [Judgement("x", "ok", "A", "r", {"q": 1.0}), Judgement("y", "refused", "A", "r")])
        ledger.record(spec_of("b"), [Judgement(s, "ok", "B", "r", {"q": 2.0}) for s in "xy"] + [failed_as("z")])
        result = Panel.of([spec_of("a"), spec_of("b")]).answers(ledger, list("xyzw"))
    assert {sample: (j.judge, j.state) for sample, j in result.items()} == {
        "x": ("A", "ok"), "y": ("B", "ok"), "z": ("B", "parse_error"),
    }  # fmt: skip


def failed_as(sample: str) -> Judgement:
    return Judgement(sample, "parse_error", "B", "r")


@pytest.mark.parametrize(
    ("specs", "pool", "message"),
    [((), "mean", "one judge or more"), (("a", "a"), "mean", "named once"), (("a",), "max", "'max'")],
)
def test_a_panel_that_cannot_be_is_refused(specs, pool, message) -> None:
    with pytest.raises(UserError, match=message):
        Panel.of(map(spec_of, specs), pool)
