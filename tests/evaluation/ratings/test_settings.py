import pytest

from efficient_empathy.evaluation.ratings import SheetSettings
from efficient_empathy.foundation.errors import UserError


@pytest.mark.parametrize(
    ("raters", "names"),
    [
        ("2", ("rater-1", "rater-2")),
        ("ann, bo,", ("ann", "bo")),
        ("ann", ("ann",)),
        (("7",), ("7",)),
        ("0", ()),
        (" ", ()),
    ],
)
def test_raters_are_a_count_or_names(raters, names) -> None:
    assert SheetSettings(raters=raters).raters == names


@pytest.mark.parametrize(
    ("settings", "models", "tasks"),
    [
        ({}, 1, ("likert",)),
        ({}, 2, ("likert", "ab")),
        ({"ab": False}, 2, ("likert",)),
        ({"likert": False}, 2, ("ab",)),
    ],
)
def test_what_is_asked_depends_on_the_number_of_models(settings, models: int, tasks) -> None:
    assert SheetSettings(**settings).design(models).questionnaire.tasks == tasks


def test_a_rating_without_a_question_or_a_rater_is_refused() -> None:
    with pytest.raises(UserError, match="nothing is asked"):
        SheetSettings(likert=False).design(1)
    with pytest.raises(UserError, match="nothing is asked"):
        SheetSettings().design(0)
    with pytest.raises(UserError, match="at least one rater"):
        SheetSettings(raters="0").design(2)
