from efficient_empathy.labelling.prediction import predict
from efficient_empathy.labelling.prediction.tally import Tally
from efficient_empathy.labelling.prediction.words import drift_summary, percent, summary
from strange_conversations import GERMAN, KIND, sample


def told(found, output=None) -> str:
    return summary({**found.result, "output": output, "per": "sample"})


def test_the_summary_says_what_to_make_of_it(predictor) -> None:
    text = told(predict([sample(KIND, dialogue="x\x1b[2J")], predictor))
    assert "1 samples of 1 conversations, judged by minilm-chatgpt" in text
    assert "P(discard)" in text
    assert "Drift: ok. These look like what the judge learnt from." in text
    assert "Nothing is written" in text
    assert "\x1b" not in text
    assert "Every sample: figures.csv" in told(predict([sample(KIND)], predictor), "figures.csv")


def test_an_alarm_names_what_is_out_of_place_and_what_to_do(predictor) -> None:
    text = told(predict([sample(GERMAN, dialogue=str(i)) for i in range(5)], predictor))
    assert "Drift: alarm." in text
    assert "100% of these samples have stranger words in the response" in text
    assert "Do not trust these figures" in text
    assert "score --judge openai" in text
    assert "see its columns outside" in text


def test_no_verdict_is_told_as_one() -> None:
    assert drift_summary(Tally(None).verdict(), False).startswith("Drift: unknown, drift cannot be checked: ")
    assert summary({"samples": 0}) == "No conversation to judge."


def test_small_shares_keep_a_decimal() -> None:
    assert [percent(share) for share in (0, 0.011, 0.37, 1)] == ["0%", "1.1%", "37%", "100%"]
