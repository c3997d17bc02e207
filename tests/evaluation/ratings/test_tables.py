import numpy as np
import pytest

from efficient_empathy.evaluation.ratings.key import Item, Key, SheetKey
from efficient_empathy.evaluation.ratings.reading import Filled
from efficient_empathy.evaluation.ratings.tables import answers_to, repeated, unit_of, value_of


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
