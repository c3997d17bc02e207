import pytest

from candidates import candidate
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.synthesis.filters import FilterContext, FilterSettings, build_filters, run_filters

GOOD = ("My brother failed his exam and cried all night in the kitchen.", "Poor him! Did you sit with him?")
LONG = ("My neighbour sold his boat, and now he sits on the pier.", "word " * 31)


def run(candidates, **options):
    return run_filters(candidates, build_filters(FilterSettings(**options), FilterContext()))


def test_each_candidate_has_its_first_reason_and_the_figures_up_to_there() -> None:
    broken = candidate(fault="no JSON")
    phone = candidate("Ring me at 212-555-0123, would you?", "I will, tonight after the late shift.")
    result = run([candidate(*GOOD), broken, candidate(*LONG), candidate(*LONG), phone])
    assert result.reasons == ["", "no JSON", "response too long", "response too long", "phone numbers"]
    assert result.filters == ["", "format", "length", "length", "personal_data"]
    assert result.kept == [0]
    assert result.figures["length"] == [7, None, 31, 31, 7]
    assert result.figures["personal_data"] == [0, None, None, None, 1]
    table = {step.name: (step.before, step.after, step.reasons) for step in result.steps if step.reasons}
    assert table == {
        "format": (5, 4, {"no JSON": 1}),
        "length": (4, 2, {"response too long": 2}),
        "personal_data": (2, 1, {"phone numbers": 1}),
    }
    assert all(step.after for step in result.steps)


def test_the_filter_that_leaves_nothing_says_what_would() -> None:
    result = run([candidate(*LONG), candidate(LONG[0], "word " * 44), candidate(fault="no JSON")])
    step = next(step for step in result.steps if not step.after)
    assert (step.name, step.before, step.reasons) == ("length", 2, {"response too long": 2})
    assert step.remedy == (
        "another prompt, or other --max-response-words, --max-turn-words, --min-turns or --max-turns "
        "(figures from 31 to 44)"
    )


def test_filters_are_chosen_by_name() -> None:
    assert run([candidate(*LONG)], filters=("format", "refusal")).kept == [0]
    with pytest.raises(UserError, match="there is no filter 'taste': choose one of format, language"):
        run([], filters=("format", "taste"))


def test_no_candidates_are_no_fault() -> None:
    result = run([])
    assert result.kept == []
    assert all(step.before == step.after == 0 for step in result.steps)
