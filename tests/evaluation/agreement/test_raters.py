import numpy as np
import polars as pl
import pytest

from efficient_empathy.evaluation.agreement.raters import align_raters, medians
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.sources import read_raters
from efficient_empathy.foundation.errors import UserError


def aligned(frames, **settings):
    return align_raters(
        read_raters({name: pl.DataFrame(rows) for name, rows in frames.items()}), AgreementSettings(**settings)
    )


def ratings(items, empathy, **more):
    return {"item_id": items, "empathy": empathy, **more}


def test_items_that_two_raters_scored_are_laid_side_by_side() -> None:
    found = aligned(
        {"a": ratings(["x", "y", "z"], [1, 2, 3]), "b": ratings(["y", "x", "w"], [5, 4, 1])}, scales=("1-5",)
    )
    assert found.items == ["x", "y"]
    assert found.axes[0].scores.tolist() == [[1, 4], [2, 5]]
    assert found.axes[0].scale == (1, 5)
    assert found.clusters == ["item x", "item y"]
    assert "2 of 2 items have no dialogue_id" in found.notes[0]


def test_rounds_count_with_their_median() -> None:
    rounds = ratings(["x", "x", "x", "y"], [1, 5, 4, 2], round=[1, 2, 3, 1])
    found = aligned({"a": rounds, "b": ratings(["x", "y"], [3, 3])}, scales=("1-5",))
    assert found.axes[0].scores[:, 0].tolist() == [4, 2]


def test_the_reference_is_the_peoples_median_or_the_first_other_rater() -> None:
    frames = {name: ratings(["x", "y"], values) for name, values in {"a": [1, 2], "b": [3, 5], "j": [4, 4]}.items()}
    found = aligned(frames, people=("a", "b"))
    name, scores = found.reference(found.axes[0], 2)
    assert (name, scores.tolist()) == ("the people’s median", [2, 3.5])
    assert aligned(frames).reference(found.axes[0], 0)[0] == "b"
    assert medians(np.array([[1, np.nan], [np.nan, np.nan]])).tolist()[0] == 1


@pytest.mark.parametrize(
    ("frames", "settings", "said"),
    [
        ({"a": ratings(["x"], [1]), "b": ratings(["y"], [2])}, {}, "no item has scores of two raters"),
        ({"a": ratings(["x"], [1])}, {}, "a is the only rater, asked once"),
        ({"a": ratings(["x"], [1]), "b": {"item_id": ["x"], "tone": [2]}}, {}, "no axis is shared"),
        ({"a": ratings(["x"], [1], tone=[1]), "b": ratings(["x"], [2])}, {"axes": ("tone",)}, "only a has it"),
        ({"a": ratings(["x"], [1]), "b": ratings(["x"], [2])}, {"axes": ("tone",)}, "there are empathy"),
        (
            {"a": ratings(["x"], [1]), "b": ratings(["x"], [2])},
            {"people": ("c",)},
            "'c' is no rater here: there are a, b",
        ),
        ({"a": ratings(["x"], [1]), "b": ratings(["x"], [7])}, {"scales": ("1-5",)}, "b gave 'x' empathy 7.* 1–5"),
        (
            {"a": ratings(["x"], [1]), "b": ratings(["x"], [3])},
            {"scales": ("empathy=1,2,5",)},
            "not on the scale 1, 2, 5",
        ),
        ({"a": ratings(["x"], [1]), "b": ratings(["x"], [3])}, {"scales": ("5-1",)}, "'5-1' is no scale"),
        ({"a": ratings(["x"], [1]), "b": ratings(["x"], [3])}, {"scales": ("wide",)}, "'wide' is no scale"),
    ],
)
def test_what_cannot_be_compared_is_said(frames, settings, said) -> None:
    with pytest.raises(UserError, match=said):
        aligned(frames, **settings)


def test_an_axis_of_one_rater_is_left_out_and_noted() -> None:
    found = aligned({"a": ratings(["x", "y"], [1, 2], tone=[1, 1]), "b": ratings(["x", "y"], [2, 2])}, scales=("1-5",))
    assert [axis.name for axis in found.axes] == ["empathy"]
    assert "tone is left out: only a has it" in found.notes


def test_a_scale_that_nobody_names_is_inferred_and_said_so() -> None:
    found = aligned({"a": ratings(["x", "y"], [1, 4]), "b": ratings(["x", "y"], [2, 2])})
    assert found.axes[0].scale == (1, 4)
    assert any("name its scale with --scale" in note for note in found.notes)
