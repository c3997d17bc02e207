import pytest

from candidates import candidate, reasons, sample
from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters import FilterContext

PROMPT = (
    "You are given a conversation. Rewrite the context into a new story with the same emotion, "
    "and answer with JSON that has the keys context and response."
)
CLEAN = "That must hurt. How are you holding up?"


def faults(*responses: str, seed: Sample | None = None) -> list[str]:
    context = FilterContext(templates={"rewrite": [PROMPT]})
    return reasons("format", [candidate("My dog died.", one, seed=seed) for one in responses], context)


def test_what_could_not_be_read_goes_with_its_own_fault() -> None:
    assert reasons("format", [candidate(fault="no JSON"), Candidate("rewrite", None, None), candidate("a", "b")]) == [
        "no JSON",
        "no sample in the reply",
        "",
    ]


@pytest.mark.parametrize(
    ("roles", "texts", "reason"),
    [
        ("", [], "no context"),
        ("s", [" "], "empty turn"),
        ("s", ["…"], "empty turn"),
        ("ss", ["one", "two"], "turns out of order"),
        ("l", ["hello"], "turns out of order"),
        ("sl", ["one", "two"], "turns out of order"),
        ("sls", ["one", "two", "three"], ""),
        ("s", ["😢"], ""),
    ],
)
def test_turns_alternate_and_none_is_empty(roles: str, texts: list[str], reason: str) -> None:
    names = {"s": "speaker", "l": "listener"}
    turns = tuple(Utterance(names[role], text) for role, text in zip(roles, texts, strict=True))
    one = Sample("0", "0", len(turns), turns, "I see.")
    assert reasons("format", [Candidate("rewrite", None, "", one)]) == [reason]


def test_an_empty_response_goes() -> None:
    assert faults("", "\n", "...") == ["empty response"] * 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Oh no. Listener: I am so sorry.", "role label in a turn"),
        ("Assistant: I am so sorry.", "role label in a turn"),
        ("**Speaker 2:** I am so sorry.", "role label in a turn"),
        ("I am sorry.\nUser: Thanks.", "role label in a turn"),
        ("Response: I am so sorry.", "role label in a turn"),
        ('{"response": "I am so sorry."}', "JSON in a turn"),
        ('I am so sorry."}]', "JSON in a turn"),
        ("```json\nI am so sorry.", "code fence"),
        ("I'm sorry, [Name], that must hurt.", "placeholder"),
        ("I'm sorry about [your friend's name].", "placeholder"),
        ("I'm sorry, {name}, that must hurt.", "placeholder"),
        ("I'm sorry, <name>, that must hurt.", "placeholder"),
        ("I'm sorry.<|im_end|>", "template token"),
        ("</s> I'm sorry.", "template token"),
        ("<<<dialogue 39293e399305\nI'm sorry.", "template token"),
        ("I'm sorry.\nresponse 39293e399305>>>", "template token"),
        ("I'm sorry.\n>>>\nWhat next?", "template token"),
        ("I'm so\x1b[31m sorry.", "control character"),
        ("I'm sorry\x00 to hear it.", "control character"),
        ("I'm \u202esorry to hear it.", "control character"),
        ("I'm sorry. [/INST]", "template token"),
        ("<think>She is sad.</think> I'm sorry.", "template token"),
        ("Here is the rewritten conversation with the same emotion.", "speaks about the task"),
        ("I'm sorry. Note: this response shows empathy.", "speaks about the task"),
        ("### I'm sorry", "markup in a turn"),
        ("You should rewrite the context into a new story with the same feeling.", "echo of the prompt"),
    ],
)
def test_what_is_left_of_a_format_goes(text: str, reason: str) -> None:
    assert faults(text) == [reason]


def test_ordinary_speech_stays() -> None:
    assert (
        faults(
            CLEAN,
            "Well: that is hard. I'd tell her this: you matter.",
            "I'm so sorry :( <3 {{hugs}} (really)".replace("{{hugs}}", "*hugs*"),
            'She said "never again" and left; did you answer?',
            "It's 10:30 already [sigh], and the speaker was late?",
            "The new context is what changes everything, and the same emotion comes back.",
            "My user name was gone, and the bot was no help.",
        )
        == [""] * 7
    )


def test_what_the_seed_has_too_is_no_leftover() -> None:
    seed = sample("My [DOG] died.", "I'm sorry about [DOG].")
    assert faults("[DOG] was a friend to you.", seed=seed) == [""]
    assert faults("[CAT] was a friend to you.", seed=seed) == ["placeholder"]


def test_a_turn_that_stands_twice_goes() -> None:
    story = "My dog died on Sunday and I miss him."
    assert reasons("format", [candidate(story, story.upper()), candidate(story, "I see.", "Thanks.", "I see.")]) == [
        "the same turn twice",
        "",
    ]
