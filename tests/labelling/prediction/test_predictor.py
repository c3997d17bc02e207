import asyncio

import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import load
from efficient_empathy.labelling.prediction import PredictionSettings, Predictor, by_conversation
from strange_conversations import KIND, bare_folder, sample

ADVICE = "you should talk to a counsellor , because that helps most people , and plan the funeral step by step ."
SAMPLES = [sample(KIND, dialogue="a"), sample(ADVICE, dialogue="b"), sample("whatever .", dialogue="a")]


def test_the_figures_are_those_of_the_judge(predictor) -> None:
    frame = predictor(SAMPLES).frame
    assert frame.schema == predictor.schema
    assert frame["sample_id"].to_list() == [one.id for one in SAMPLES]
    for i, judgement in enumerate(asyncio.run(predictor.judge.judge(SAMPLES))):
        for axis in ("sensibility", "rationality"):
            p = np.array(judgement.probabilities[axis])
            assert frame[axis][i] == pytest.approx(judgement.scores[axis], abs=1e-5)
            spread = np.sqrt(p @ np.arange(11) ** 2 - (p @ np.arange(11)) ** 2)
            assert frame[f"{axis}_std"][i] == pytest.approx(spread, abs=1e-3)
    subsets = frame.select("p_sensibility", "p_rationality", "p_discard").sum_horizontal()
    assert subsets.to_list() == pytest.approx([1, 1, 1], abs=1e-5)
    assert frame["p_sensibility"][0] > frame["p_sensibility"][1]
    assert frame["p_rationality"][1] > frame["p_rationality"][0]


def test_thresholds_and_policy_move_the_subsets_and_not_the_scores(predictor) -> None:
    plain, strict = predictor(SAMPLES).frame, Predictor(PredictionSettings(alpha=9, beta=9))(SAMPLES).frame
    assert plain["sensibility"].equals(strict["sensibility"])
    assert (strict["p_discard"] > plain["p_discard"]).all()
    both = Predictor(PredictionSettings(policy="both"))(SAMPLES).frame
    assert {"p_both", "p_discard", "p_sensibility", "p_rationality"} < set(both.columns)


def test_a_conversation_has_its_means_and_its_weakest_turn(predictor) -> None:
    frame = predictor(SAMPLES).frame
    conversations = by_conversation(frame, "discard")
    assert conversations["dialogue_id"].to_list() == ["a", "b"]
    assert conversations["turns"].to_list() == [2, 1]
    assert conversations["sensibility"][0] == pytest.approx((frame["sensibility"][0] + frame["sensibility"][2]) / 2)
    assert conversations["weakest_p_discard"][0] == max(frame["p_discard"][0], frame["p_discard"][2])
    assert conversations["outside"].to_list() == [0, 0]


def test_without_a_reference_nothing_is_said_of_the_inputs(tmp_path) -> None:
    judge = Predictor(PredictionSettings(judge_model=bare_folder(tmp_path / "judge")))
    frame = judge(SAMPLES).frame
    assert frame["outside"].to_list() == frame["outside_because"].to_list() == [None] * 3
    assert by_conversation(frame, "discard")["outside"].to_list() == [None, None]


def test_no_samples_are_an_empty_frame(predictor) -> None:
    assert predictor([]).frame.schema == predictor.schema
    assert by_conversation(predictor([]).frame, "discard").is_empty()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "top"}, "the policy top needs to know how many"),
        ({"policy": "best"}, "no policy 'best'"),
        ({"thresholds": {"gamma": 12}}, "the policy paper has no threshold gamma"),
        ({"judge_model": "nowhere"}, "holds no distilled judge"),
    ],
)
def test_what_there_is_not_is_refused(options, message) -> None:
    with pytest.raises(UserError, match=message):
        Predictor(load(PredictionSettings, None, "the options", options))
