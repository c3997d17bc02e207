import numpy as np
import pytest

from efficient_empathy.evaluation.ratings.answers import (
    answers_to,
    missing,
    rater_summaries,
    repeated,
    unit_of,
    value_of,
)
from efficient_empathy.evaluation.ratings.reading import Filled, read_filled
from efficient_empathy.evaluation.ratings.record import Consistency, Item, Key, SheetKey
from rated_runs import by_quality, fill


def item(shown, task="ab", sample="s1", repeat_of=None):
    return Item(task=task, sample_id=sample, shown=shown, repeat_of=repeat_of, text="")


def filled(rater, name, known, **answers):
    return Filled(rater, name, known, answers, (), "", f"{rater}.csv, row 2")


@pytest.fixture
def key():
    sheets = [SheetKey(rater=r, files=[], sha256="", items={}) for r in ("ann", "bo", "cy")]
    return Key(seed=0, models=["moe", "base"], questions=["better"], dialogues={"s1": "d1", "s2": "d2"}, identical=[],
               sheets=sheets)  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "answer", "value"),
    [
        ([["moe"], ["base"]], "left", 1), ([["moe"], ["base"]], "right", -1), ([["moe"], ["base"]], "tie", 0),
        ([["base"], ["moe"]], "left", -1), ([["base"], ["moe"]], "right", 1), ([["base"], ["moe"]], "tie", 0),
    ],
)  # fmt: skip
def test_a_comparison_counts_for_the_response_wherever_it_stood(key, shown, answer, value) -> None:
    one = filled("ann", "a", item(shown), better=answer)
    assert value_of(one, "better", key) == value
    assert unit_of(one, key) == ("s1", (("moe",), ("base",)))
    assert not np.signbit(value_of(one, "better", key)) or value < 0


def test_rows_are_what_was_seen_alike_and_columns_who_answered(key) -> None:
    given = [
        filled("ann", "a", item([["moe"]], "likert"), empathy="4"),
        filled("ann", "b", item([["moe"]], "likert", "s2"), coherence="1"),
        filled("cy", "c", item([["moe"]], "likert"), empathy="2"),
        filled("cy", "d", item([["moe"]], "likert", "s2"), empathy="5"),
        filled("cy", "e", item([["base"], ["moe"]]), better="left"),
    ]
    found = answers_to("empathy", "likert", given, key)
    assert found.raters == ["ann", "cy"]
    assert found.units == [("s1", (("moe",),)), ("s2", (("moe",),))]
    assert found.dialogues == ["d1", "d2"]
    np.testing.assert_array_equal(found.values, [[4, 2], [np.nan, 5]])
    assert answers_to("empathy", "ab", given, key).values.shape == (0, 0)


def test_an_answer_given_twice_counts_the_first_time(key) -> None:
    given = [
        filled("ann", "a", item([["moe"]], "likert"), empathy="4"),
        filled("ann", "b", item([["moe"]], "likert", "s2")),
        filled("ann", "c", item([["moe"]], "likert", repeat_of="a"), empathy="1"),
        filled("ann", "d", item([["moe"]], "likert", "s2", repeat_of="b"), empathy="3"),
        filled("ann", "e", item([["moe"], ["base"]]), better="left"),
        filled("ann", "f", item([["base"], ["moe"]], repeat_of="e"), better="left"),
    ]
    np.testing.assert_array_equal(answers_to("empathy", "likert", given, key).values, [[4], [3]])
    assert list(repeated(given, key)) == [("ann", "likert", 4, 1), ("ann", "ab", 1, -1)]


def test_self_consistency_is_of_the_hidden_repeats_alone(handed_out) -> None:
    _, folder, key = handed_out(samples=10, repeats=0.5)

    def answer(rater, item, question):
        if rater == "ann" and item.repeat_of and item.task == "likert":
            return by_quality(rater, item, question) - 1
        return by_quality(rater, item, question)

    fill(folder, key, answer)
    ann, bo = rater_summaries(list(read_filled([folder], key).filled.values()), key)
    assert bo.self_consistency == 1
    assert bo.repeated["ab"] == Consistency(answers=15, exact=1, mean_absolute_difference=0)
    assert ann.repeated["likert"] == Consistency(answers=60, exact=0, mean_absolute_difference=1)
    assert ann.self_consistency == 15 / 75


def test_a_rater_who_always_takes_the_left_is_seen(handed_out) -> None:
    _, folder, key = handed_out(tasks=("ab",), repeats=0.2)
    fill(folder, key, lambda rater, item, question: "left" if rater == "ann" else by_quality(rater, item, question))
    ann, bo = rater_summaries(list(read_filled([folder], key).filled.values()), key)
    assert (ann.left, ann.self_consistency) == (1, 0)
    assert 0.2 < bo.left < 0.8


def test_what_is_missing_is_counted_by_rater_and_question(handed_out) -> None:
    _, folder, key = handed_out(tasks=("likert",), repeats=0)
    fill(folder, key, lambda rater, item, question: "" if question == "empathy" else 3, ["ann"])
    told = missing(list(read_filled([folder / "ann-ratings.csv"], key).filled.values()), key)
    assert told == [
        "ann left single cells empty: empathy 18",
        "bo handed in nothing: 18 items are without an answer of theirs",
    ]
