import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.pairwise.verdicts import both_orders, decide, rates, sign_test
from efficient_empathy.scoring import Judgement

# Answers with a first and with b first (1: the first shown, 2: the second, 0: neither; -1: no ok answer), and verdict.
CASES = {
    (1, 2): "win",
    (2, 1): "lose",
    (0, 0): "tie",
    (1, 1): "inconsistent",
    (2, 2): "inconsistent",
    (0, 1): "inconsistent",
    (-1, 2): "failed",
    (1, -1): "failed",
}


def rows(pairs: list[tuple[str | None, str | None]]) -> pl.DataFrame:
    turns = [{"role": "speaker", "text": "I lost my keys."}]
    return pl.DataFrame(
        [(str(i), f"d{i}", turns, a, b) for i, (a, b) in enumerate(pairs)],
        schema={
            "sample_id": pl.String,
            "dialogue_id": pl.String,
            "context": pl.List(pl.Struct({"role": pl.String, "text": pl.String})),
            "a": pl.String,
            "b": pl.String,
        },
        orient="row",
    )


def answered(cases: list[tuple[int, int]], extra: list[tuple[str | None, str | None]] | None = None) -> pl.DataFrame:
    frame = rows([(f"a{i}", f"b{i}") for i in range(len(cases))] + (extra or []))
    questions = both_orders(frame)
    judgements = {}
    for asked, case in zip(questions, cases, strict=False):
        for pair, answer in zip(asked, case, strict=True):
            state, scores = ("ok", {"preference": float(answer)}) if answer >= 0 else ("parse_error", {})
            judgements[pair.id] = Judgement(pair.id, state, "m", "r", scores)
    return decide(frame, questions, judgements)


def values(decided: pl.DataFrame) -> dict[str, float]:
    return {name: float(value[0]) for name, value in rates(decided).under().items()}


def test_a_verdict_needs_both_orders_to_agree() -> None:
    decided = answered(list(CASES), [("same", "same"), (None, "b"), ("late", "later")])
    assert decided["verdict"].to_list() == [*CASES.values(), "identical", "missing", "unjudged"]
    assert decided["a_first"].to_list()[:3] == ["a", "b", "tie"]
    assert decided["b_first"].to_list()[:3] == ["a", "b", "tie"]


def test_nobody_is_asked_about_the_same_text_or_a_missing_one() -> None:
    asked = both_orders(rows([("x", "x"), (None, "b"), ("a", None), (None, None), ("a", "b"), ("", "b")]))
    assert [one is not None for one in asked] == [False] * 4 + [True, True]


def test_rates_by_hand() -> None:
    # 3 wins, 1 loss, 1 tie, 1 inconsistent, 1 identical; one failed and one missing that count in nothing
    decided = answered([(1, 2)] * 3 + [(2, 1), (0, 0), (1, 1), (-1, 1)], [("same", "same"), (None, "b")])
    found = values(decided)
    assert found["win_rate"] == pytest.approx((3 + 3 / 2) / 7)
    assert found["consistency_rate"] == pytest.approx(5 / 6)
    assert found["first_position_rate"] == pytest.approx((3 + 1 + 2) / (2 * 5))


def test_a_judge_of_places_is_found_out() -> None:
    found = values(answered([(1, 1)] * 10))
    assert found == {"win_rate": 0.5, "consistency_rate": 0.0, "first_position_rate": 1.0}


def test_rates_are_undefined_where_nothing_counts() -> None:
    assert all(np.isnan(value) for value in values(answered([(-1, -1)])).values())
    found = values(answered([], [("same", "same")]))
    assert found["win_rate"] == 0.5
    assert np.isnan(found["consistency_rate"])


@given(st.lists(st.tuples(*[st.integers(-1, 2)] * 2), min_size=1, max_size=8))
def test_which_model_is_called_a_turns_the_win_rate_round_and_nothing_else(cases: list[tuple[int, int]]) -> None:
    one, other = values(answered(cases)), values(answered([(second, first) for first, second in cases]))
    assert other["win_rate"] == pytest.approx(1 - one["win_rate"], nan_ok=True)
    assert other["consistency_rate"] == pytest.approx(one["consistency_rate"], nan_ok=True)
    assert other["first_position_rate"] == pytest.approx(one["first_position_rate"], nan_ok=True)


def test_weights_count_rows() -> None:
    measured = rates(answered([(1, 2), (2, 1)]))
    assert measured.under(np.array([[3.0, 1.0], [0.0, 2.0]]))["win_rate"].tolist() == [0.75, 0.0]


def test_the_sign_test_is_exact() -> None:
    assert sign_test(9, 1) == pytest.approx(2 * (1 + 10) / 2**10)
    assert sign_test(0, 0) == 1.0
