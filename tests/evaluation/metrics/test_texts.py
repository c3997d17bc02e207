import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics import texts
from efficient_empathy.evaluation.metrics.texts import Distinct, Texts
from efficient_empathy.evaluation.pairs import pair_texts
from efficient_empathy.evaluation.tokens import Ragged

ROWS = pair_texts(["oh no", "oh no", "", "I see ."], ["x"] * 4)


def test_figures() -> None:
    found = {name: float(value[0]) for name, value in Texts(MetricOptions()).measure(ROWS).under().items()}
    stock = {"top_reply": 50, "top_opening": 50, "reused": 50}
    assert found == {"unique": 75, "words": 7 / 4, "empty": 25, **stock}
    assert {figure.name for figure in Texts.figures} == found.keys()


def test_leaving_out_a_repeated_reply_leaves_as_many_different_ones() -> None:
    found = Texts(MetricOptions()).measure(ROWS).under(np.array([[0, 1, 1, 1], [1, 1, 0, 0]], np.float64))
    assert found["unique"].tolist() == [100, 50]
    assert found["words"].tolist() == pytest.approx([5 / 3, 2])


ROWS_distinct = st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=1, max_size=8)


def share(rows: list[list[int]], n: int) -> float:
    grams = [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]
    return 100 * (len(set(grams)) + 1e-5) / (len(grams) + 1e-5)


@given(ROWS_distinct, st.integers(1, 2), st.data())
def test_leaving_rows_out_gives_the_share_of_the_rest(rows: list[list[int]], n: int, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)), min_size=1, max_size=4))
    measured = Distinct("dist", Ragged.of(rows), n, 1e-5)
    assert measured.under()["dist"].tolist() == pytest.approx([share(rows, n)])
    expected = [share([row for row, there in zip(rows, draw, strict=True) if there], n) for draw in kept]
    assert measured.under(np.array(kept, np.float64))["dist"].tolist() == pytest.approx(expected)


def test_draws_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Distinct("dist", Ragged.of([[0, 1, 0], [1, 1], [2]]), 1)
    weights = 1 - np.eye(3)
    whole = measured.under(weights)["dist"].tolist()
    monkeypatch.setattr(texts, "_AT_ONCE", 1)
    assert measured.under(weights)["dist"].tolist() == whole == pytest.approx([100 * 2 / 3, 75, 40])


def test_it_must_not_be_drawn_again() -> None:
    assert not Distinct("dist", Ragged.of([[0]])).repeatable
