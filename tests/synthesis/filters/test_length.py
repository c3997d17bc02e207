import pytest
from pydantic import ValidationError

from candidates import candidate, verdicts
from efficient_empathy.synthesis.filters import FilterSettings


def words(count: int) -> str:
    return " ".join(["word"] * count)


def test_a_response_has_at_most_thirty_words_and_the_figure_says_how_many() -> None:
    some = [candidate("Hi there.", words(n)) for n in (1, 30, 31, 10_000)]
    assert verdicts("length", some) == [
        ("", 1),
        ("", 30),
        ("response too long", 31),
        ("response too long", 10_000),
    ]
    assert verdicts("length", some, max_response_words=20_000, min_response_words=2)[0] == ("response too short", 1)


def test_turns_are_neither_too_long_nor_too_many() -> None:
    five = ["a", "b", "c", "d", "e", "f"]
    assert verdicts("length", [candidate(words(101), "ok")]) == [("turn too long", 101)]
    assert verdicts("length", [candidate(*five)], min_turns=3) == [("", 1)]
    assert verdicts("length", [candidate("a", "b"), candidate(*five)], min_turns=3, max_turns=3) == [
        ("too few turns", 1),
        ("too many turns", 5),
    ]


@pytest.mark.parametrize(
    "bounds", [{"min_response_words": 31}, {"min_turns": 20}, {"filters": ["length"]}, {"languages": ["english"]}]
)
def test_bounds_that_nothing_could_meet_are_refused(bounds) -> None:
    with pytest.raises(ValidationError):
        FilterSettings(**bounds)
