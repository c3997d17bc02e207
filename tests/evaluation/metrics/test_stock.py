from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics import stock
from efficient_empathy.evaluation.metrics.stock import Commonest, Reused, commonest, keys_of
from efficient_empathy.evaluation.metrics.texts import Texts

REPLIES = ["I'm so sorry.", "i'm so sorry", "I'm so glad!", "", "I'm SO sorry for you", "Why?"]
ROWS = pl.DataFrame({"dialogue_id": ["a", "a", "b", "b", "c", "c"], "prediction": REPLIES})


def test_replies_are_the_same_whatever_their_case_and_punctuation() -> None:
    assert keys_of(ROWS).to_dict(as_series=False) == {
        "top_reply": ["i'm so sorry", "i'm so sorry", "i'm so glad", None, "i'm so sorry for you", "why"],
        "top_opening": ["i'm so sorry", "i'm so sorry", "i'm so glad", None, "i'm so sorry", "why"],
    }


def test_the_commonest_are_quoted_as_they_were_written() -> None:
    assert commonest(ROWS) == {"top_reply": "I'm so sorry.", "top_opening": "I'm so sorry."}
    assert commonest(ROWS[3:4]) == {}


def test_of_what_a_dialogue_says_twice_nothing_is_reused() -> None:
    keys = keys_of(ROWS)
    assert Reused(keys["top_reply"], ROWS["dialogue_id"]).under()["reused"] == pytest.approx(0)
    assert Reused(keys["top_opening"], ROWS["dialogue_id"]).under()["reused"] == pytest.approx(50)
    assert Commonest("top_reply", keys["top_reply"]).under()["top_reply"] == pytest.approx(100 / 3)


ROW = st.tuples(st.sampled_from("abcd"), st.sampled_from(["x", "y", "z", "", "x y"]), st.booleans())


@given(st.lists(ROW, min_size=1, max_size=12), st.booleans())
def test_leaving_dialogues_out_gives_the_shares_of_the_rest(rows, in_parts) -> None:
    """By counting, for any rows; and the same where the draws are taken in parts."""
    frame = pl.DataFrame(rows, ["dialogue_id", "prediction", "kept"], orient="row")
    keys, kept = keys_of(frame), frame["kept"].to_numpy().astype(np.float64)
    weights = np.array([kept, np.ones(len(rows))])

    def counted(some: list[tuple[str, str, bool]]) -> tuple[float, float]:
        said = [(dialogue, reply) for dialogue, reply, _ in some if reply]
        counts = Counter(reply for _, reply in said)
        reused = [1 for d, reply in said if any(other != d and again == reply for other, again in said)]
        n = len(some) or float("nan")
        return 100 * max(counts.values(), default=0) / n, 100 * len(reused) / n

    expected = [counted([row for row in rows if row[2]]), counted(rows)]
    with pytest.MonkeyPatch.context() as patch:
        if in_parts:
            patch.setattr(stock, "_AT_ONCE", 1)
        top = Commonest("top", keys["top_reply"]).under(weights)["top"]
        reused = Reused(keys["top_reply"], frame["dialogue_id"]).under(weights)["reused"]
    assert np.column_stack((top, reused)) == pytest.approx(np.array(expected), nan_ok=True)


@given(st.lists(st.sampled_from(["x", "y", "Z z", "", "x y"]), min_size=1, max_size=12), st.integers(1, 5))
def test_rows_that_come_part_by_part_count_as_all_at_once(replies, size) -> None:
    frame = pl.DataFrame({"dialogue_id": [str(i) for i in range(len(replies))], "prediction": replies})
    metric = Texts(MetricOptions())
    tally = metric.tally()
    for start in range(0, len(replies), size):
        tally.add(frame[start : start + size])
    whole = {name: float(value[0]) for name, value in metric.measure(frame).under().items()}
    assert {name: float(value[0]) for name, value in tally.values().items()} == pytest.approx(whole)


def test_they_must_not_be_drawn_again() -> None:
    assert not Commonest("top", pl.Series(["a"])).repeatable
    assert not Reused(pl.Series(["a"]), pl.Series(["b"])).repeatable
