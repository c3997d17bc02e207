from collections import defaultdict
from itertools import islice

import numpy as np
import pytest

from efficient_empathy.dialogues import Intake, open_source
from efficient_empathy.labelling.prediction import predict
from efficient_empathy.labelling.prediction.drift import Tally
from shared_data import FOLDER, needs_shared_data
from strange_conversations import CHINESE, CODE, ENDLESS, GERMAN, KIND, LOG, NOISE, STORY, sample


@pytest.mark.parametrize(
    ("response", "context", "said"),
    [
        (GERMAN, STORY, "stranger words in the response"),
        (GERMAN, "Gestern ist meine Großmutter gestorben und ich vermisse sie so sehr.", "unknown word pieces: "),
        (CHINESE, STORY, "stranger words in the response"),
        (CODE, "how do i sort a table ?", "stranger words"),
        (LOG, "my server is down again .", "stranger words"),
        (NOISE, STORY, "stranger words in the response"),
        (ENDLESS, STORY, "a longer response: 560 words, at most 57 in training"),
        (KIND, "so much happened . " * 200, "a longer context: 600 words"),
    ],
)
def test_what_a_judge_never_saw_is_told_with_the_reason(predictor, response, context, said) -> None:
    found = predict([sample(response, context)], predictor)
    assert found.samples["outside"].to_list() == [True]
    assert said in found.samples["outside_because"][0]
    assert found.drift["verdict"] == "watch"


@pytest.mark.parametrize("response", ["ok", "oh no !", KIND, "that is awful . did you call the police ?"])
def test_ordinary_responses_are_not_outside_however_short(predictor, response) -> None:
    assert predict([sample(response)], predictor).samples["outside"].to_list() == [False]


@pytest.mark.parametrize("strange", [GERMAN, CODE, LOG])
def test_a_batch_of_another_kind_alarms_in_words(predictor, strange) -> None:
    batch = [sample(f"{strange} {i}", f"{STORY} {i}", dialogue=str(i)) for i in range(4)]
    drift = predict(batch, predictor).drift
    assert drift["verdict"] == "alarm"
    assert any("100% of these samples have stranger words in the response" in words for words in drift["words"])
    assert any("another language, code, jargon?" in words for words in drift["words"])


def test_many_turns_of_one_conversation_are_one_observation(predictor) -> None:
    turns = [sample(f"{GERMAN} {i}", dialogue="the same") for i in range(8)]
    assert predict(turns, predictor).drift["verdict"] == "watch"


def test_our_own_dialogues_are_longer_and_richer_than_what_the_bundled_judge_learnt_from(predictor, own) -> None:
    _, samples, _ = own
    drift = predict(samples[:60], predictor).drift
    assert drift["verdict"] == "alarm"
    assert any("a longer response than what the judge learnt from (PSI" in words for words in drift["words"])
    assert drift["outside"]["share"] < 0.2


@pytest.mark.parametrize("conversations", [1, 2, 5, 20, 64])
def test_the_same_distribution_does_not_alarm(own, rng, conversations) -> None:
    judge, samples, values = own
    rows = defaultdict(list)
    for i, one in enumerate(samples):
        rows[one.dialogue_id].append(i)
    names = [*rows]
    verdicts = []
    for _ in range(100):
        tally = Tally(judge.reference)
        drawn = [row for name in rng.choice(names, conversations, replace=False) for row in rows[name]]
        tally.add(values[drawn], [samples[row].dialogue_id for row in drawn])
        verdicts.append(tally.verdict()["verdict"])
    assert "alarm" not in verdicts
    assert verdicts.count("watch") <= 10


def test_a_judge_that_learnt_from_them_tells_other_conversations_apart(own) -> None:
    judge, _, _ = own
    drift = predict([sample(GERMAN, dialogue=str(i)) for i in range(8)], judge).drift
    assert drift["verdict"] == "alarm"


@needs_shared_data
def test_the_test_split_of_what_it_learnt_from_does_not_alarm(predictor) -> None:
    samples = [*open_source(FOLDER / "empathetic_dialogues" / "test_pairs.jsonl.gz", intake=Intake("skip"))][::40]
    drift = predict(samples, predictor).drift
    assert drift["verdict"] == "ok"
    assert drift["outside"]["share"] < 0.04
    assert max(feature["jensen_shannon"] for feature in drift["features"]) < 0.2


@needs_shared_data
def test_long_support_conversations_alarm(predictor) -> None:
    path = FOLDER / "esconv" / "esconv.jsonl.gz"
    samples = [*islice(open_source(path, intake=Intake("skip")), 0, 3000, 250)]
    drift = predict(samples, predictor).drift
    assert drift["verdict"] == "alarm"
    assert any("have more turns before the response than practically all" in words for words in drift["words"])


def test_nothing_and_no_reference_are_no_verdict(predictor) -> None:
    assert predict([], predictor).drift == {"verdict": "none", "words": []}
    tally = Tally(None)
    tally.add(np.zeros((2, 0)), ["a", "b"])
    assert tally.verdict()["verdict"] == "unknown"
    assert tally.conversations == 2
