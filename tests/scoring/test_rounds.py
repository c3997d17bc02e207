import pytest

from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.rounds import in_round, round_spec


class Plain:
    name, spec = "plain", "judge=plain"

    async def judge(self, samples):
        return []


def test_the_first_round_is_the_judge_itself_and_the_others_have_keys_of_their_own() -> None:
    bound = in_round(Plain(), Rubric.load(), 1)
    assert bound.spec == "judge=plain"
    assert in_round(bound, Rubric.load(), 3).spec == "judge=plain round=3"
    assert in_round(bound, Rubric.load(), 2).spec == "judge=plain round=2"
    assert round_spec("judge=plain round=7", 1) == "judge=plain"


def test_rounds_are_counted_from_1() -> None:
    with pytest.raises(ValueError, match="from 1"):
        in_round(Plain(), Rubric.load(), 0)
