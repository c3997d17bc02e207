import pytest

from candidates import bundled, candidate, reasons, sample
from efficient_empathy.synthesis.filters import FilterContext


def found(text: str) -> str:
    return reasons("refusal", [candidate("My cat is ill.", text)])[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("As an AI language model, I don't have feelings, but that sounds hard.", "speaks as an AI"),
        ("I'm just a virtual assistant, but I care.", "speaks as an AI"),
        ("I’m an AI, so I can’t know grief.", "speaks as an AI"),
        ("I do not have personal experiences, but I can listen.", "speaks as an AI"),
        ("I was trained by a company to listen.", "speaks as an AI"),
        ("I'm sorry, but I can't assist with that request.", "refuses"),
        ("I cannot provide medical advice.", "refuses"),
        ("I'm really sorry that you're feeling this way, but I'm unable to provide the help that you need.", "refuses"),
        ("I'm not able to generate that kind of content.", "refuses"),
        ("I must respectfully decline.", "refuses"),
        ("I won't be able to continue this conversation.", "refuses"),
        ("Hello! How can I assist you today?", "speaks as an assistant"),
        ("Is there anything else I can help you with?", "speaks as an assistant"),
        ("Sure! Here is a kind answer.", "speaks as an assistant"),
        ("Please feel free to reach out if you have any questions.", "speaks as an assistant"),
    ],
)
def test_a_machine_is_heard(text: str, reason: str) -> None:
    assert found(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "I can't imagine how that felt.",
        "I'm sorry, I can't come on Saturday.",
        "I'm sorry, I can't help you move, my back is bad.",
        "I cannot believe he said that to you!",
        "I don't have feelings for him either, and that's fine.",
        "As an AI engineer myself, I know those hours.",
        "I am an assistant at a bakery, so I know early mornings.",
        "I refuse to believe that was your fault.",
        "I won't be able to sleep either after hearing that.",
        "How can I help?",
        "I can't answer that for you, but I can listen.",
        "I can't offer much, only my company.",
        "I can't give you an answer, I would need a week too.",
        "Is there anything I can do?",
        "I couldn't write a word for weeks after my own mother died.",
        "Your doctor can provide support, and so can I.",
        "Feel free to cry here.",
    ],
)
def test_a_person_is_not_taken_for_one(text: str) -> None:
    assert found(text) == ""


def test_the_speaker_may_speak_of_machines_and_the_listener_before_may_not() -> None:
    speaker = candidate("As an AI model you know nothing! I'm an AI hater.", "You sound tired of machines.")
    listener = candidate("Hello.", "How can I assist you today?", "My cat died.", "I'm so sorry.")
    assert reasons("refusal", [speaker, listener]) == ["", "speaks as an assistant"]


def test_a_voice_of_the_seed_or_of_the_real_data_stays() -> None:
    desk = sample("Hello.", "How can I assist you today?")
    assert reasons("refusal", [candidate("Good day.", "How may I assist you?", seed=desk)]) == [""]
    real = [*bundled("valid"), *[desk] * 5]
    some = [candidate("Good day.", "How may I assist you?"), candidate("Good day.", "As an AI model I cannot.")]
    assert reasons("refusal", some, FilterContext(real=real)) == ["", "speaks as an AI"]
