import asyncio
import math

import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Judgement, Rubric
from efficient_empathy.scoring.judges.contract import CheckedJudge
from samples import make_samples

RUBRIC = Rubric.load()
GOOD = {"rationality": 2.0, "sensibility": 8.0}
EVEN = [1 / 11] * 11


class Answers:
    name = "answers"

    def __init__(self, *judgements: Judgement) -> None:
        self.judgements = list(judgements)

    async def judge(self, samples):
        return self.judgements


SAMPLE = make_samples(1)[0]


def ask(*judgements: Judgement) -> Judgement:
    (result,) = asyncio.run(CheckedJudge(Answers(*judgements), RUBRIC).judge([SAMPLE]))
    return result


def ok(scores=GOOD, **rest) -> Judgement:
    return Judgement(SAMPLE.id, "ok", "answers", "r", scores, **rest)


def test_a_name_and_a_function_are_enough() -> None:
    judge = CheckedJudge(Answers(), RUBRIC)
    assert (judge.batch_size, judge.concurrency, judge.endpoint) == (1, 1, None)
    assert (judge.spec.judge, judge.spec.rubric, judge.spec.round) == ("answers", RUBRIC.hash, 1)
    judge.drain()
    asyncio.run(judge.close())


def test_scores_come_out_as_plain_numbers_in_the_rubrics_order() -> None:
    result = ask(ok({name: np.float32(value) for name, value in GOOD.items()}))
    assert list(result.scores) == ["sensibility", "rationality"]
    assert all(type(value) is float for value in result.scores.values())


def test_distributions_follow_the_axes_and_sum_to_1() -> None:
    peak = [0.0] * 10 + [1.004]
    result = ask(ok(probabilities={"rationality": EVEN, "sensibility": np.array(peak, np.float32)}))
    assert list(result.probabilities) == ["sensibility", "rationality"]
    assert result.probabilities["sensibility"][10] == 1


def test_a_failure_has_no_scores_whatever_the_judge_says() -> None:
    assert not ask(Judgement(SAMPLE.id, "refused", "answers", "r", GOOD)).scores


@pytest.mark.parametrize(
    "answer",
    [
        (),
        (ok(), ok()),
        (Judgement("another", "ok", "answers", "r", GOOD),),
        (Judgement(SAMPLE.id, "fine", "answers", "r", GOOD),),
        (ok({"sensibility": 8.0}),),
        (ok({**GOOD, "rationality": 11}),),
        (ok({**GOOD, "rationality": -1}),),
        (ok({**GOOD, "rationality": math.nan}),),
        (ok(probabilities={"sensibility": EVEN}),),
        (ok(probabilities={"sensibility": EVEN, "rationality": EVEN[:5]}),),
        (ok(probabilities={"sensibility": EVEN, "rationality": [math.nan] * 11}),),
        (ok(probabilities={"sensibility": EVEN, "rationality": [1.0] * 11}),),
    ],
)
def test_an_answer_that_breaks_the_contract_is_refused(answer) -> None:
    with pytest.raises(UserError, match="'answers' breaks its contract"):
        ask(*answer)


def test_each_round_of_a_judge_is_kept_apart() -> None:
    judge = CheckedJudge(Answers(), RUBRIC)
    assert judge.in_round(1).spec == judge.spec
    assert (judge.in_round(3).spec.round, judge.in_round(3).in_round(2).spec.round) == (3, 2)
    assert len({judge.in_round(number).spec.key for number in (1, 2, 3)}) == 3
    with pytest.raises(ValueError, match="round"):
        judge.in_round(0)
