import pytest

from efficient_empathy.scoring import Rubric
from efficient_empathy.scoring.parser import to_judgement

RUBRIC = Rubric.load()


def state(reply: str) -> str:
    return to_judgement("id", reply, RUBRIC, "judge").state


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't rate this conversation.",
        "I’m sorry, but I can’t assist with that request.",
        "As an AI, I do not judge people.",
        "As a language model I cannot provide a score here.",
        "**I can't help with that.**",
        "Sorry, I won't evaluate this.",
        "I apologize, but I am not able to score content of this kind.",
        "Unfortunately, I am not comfortable rating this.",
        "This dialogue describes self-harm. I must decline to assess it.",
        "I'm sorry, but this request violates our usage policies.",
        "<think>Sensibility: 3?</think>I cannot evaluate this.",
    ],
)
def test_a_judge_that_declines_has_refused(reply: str) -> None:
    assert state(reply) == "refused"


@pytest.mark.parametrize(
    "reply",
    [
        "The listener is rather kind.",
        "The listener says \"I'm sorry, I can't help you with that\", which is cold.",
        "“I can’t help you with that,” says the listener. It is cold.",
        "'I can't help you' is all that the listener has to say.",
        "> I'm sorry, I can't help you.\nThat is not much.",
        "Listener: I'm sorry, I can't help you.",
        "The response was:\nI can't help you.",
        "I'm so sorry for your loss. I can't imagine how that feels.",
        "I can't help but feel moved by this response.",
        "I can't sleep before the exam.",
        "I'm sorry, I can't rate it.\nSensibility: 11",
        "<think>I can't rate that.</think>The listener is kind.",
        "",
    ],
)
def test_a_reply_that_speaks_of_declining_has_not(reply: str) -> None:
    assert state(reply) == "parse_error"


def test_scores_beside_an_apology_are_scores() -> None:
    assert state("I'm sorry to hear it.\nRationality: 3\nSensibility: 4") == "ok"
