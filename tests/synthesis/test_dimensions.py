"""By what samples are told apart in a plan."""

from __future__ import annotations

import re

import polars as pl
import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.synthesis.dimensions import Dimension, made_values, read_dimensions

AXES = ("sensibility", "rationality")


def rows() -> pl.DataFrame:
    """Twelve samples, of 1 to 12 words and one to three turns."""
    samples = [
        Sample.of([Utterance("speaker", "Hello there.")], " ".join(["word"] * words), turn=1 + words % 3,
                  category="sad" if words % 2 else None)
        for words in range(1, 13)
    ]  # fmt: skip
    scores = pl.DataFrame({"sensibility": [float(n % 10) for n in range(12)], "rationality": [5.0] * 11 + [None]})
    return pl.concat([pl.DataFrame([one.row() for one in samples], schema=SAMPLE_SCHEMA), scores], how="horizontal")


def test_numbers_fall_into_three_bands_of_about_the_same_size_unless_cuts_are_given():
    one, two = read_dimensions(["response_words", "turn:2,3"], rows(), AXES)
    assert one == Dimension("response_words", (5.0, 9.0))
    assert list(one.bands) == ["under 5", "5 to under 9", "9 or more"]
    values = rows().select(one.value(), two.value())
    assert sorted(values["response_words"].value_counts()["count"]) == [4, 4, 4]
    assert dict(values["turn"].value_counts().iter_rows()) == {"2 to under 3": 4, "3 or more": 4, "under 2": 4}


def test_what_has_no_value_is_called_none():
    category, axis = read_dimensions(["category", "rationality:5"], rows(), AXES)
    values = rows().select(category.value(), axis.value())
    assert set(values["category"]) == {"sad", "none"}
    assert values["rationality"].to_list() == ["5 or more"] * 11 + ["none"]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("mood", "--by mood: samples can be told apart by response_words, context_words, turn"),
        ("split", "--by split: samples can be told apart by"),
        ("category:3", "category is no number, so nothing can cut it"),
        ("turn:3;5", "the cuts are numbers with commas between, such as turn:3,5"),
        ("turn:nan", "the cuts are numbers"),
        ("turn:3,", "the cuts are numbers"),
        ("turn:1.2.3", "the cuts are numbers with commas between"),
        ("rationality", "nothing tells the run's samples apart by it; give cuts"),
    ],
)
def test_what_samples_cannot_be_told_apart_by_is_refused(by, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read_dimensions([by], rows(), AXES)
    with pytest.raises(UserError, match="twice"):
        read_dimensions(["turn", "turn:2"], rows(), AXES)


def test_a_synthetic_sample_is_measured_itself_and_is_about_what_its_seed_is():
    dimensions = [Dimension("topic"), Dimension("response_words", (6.0,))]
    made = made_values(dimensions, rows().head(2), {"seed": "dog, walk"}, ["seed", None])
    assert made == [("dog, walk", "under 6"), ("none", "under 6")]
