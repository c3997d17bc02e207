"""From what a model writes to turns: the forms that models choose, and what is no dialogue."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.dialogues import Utterance
from efficient_empathy.synthesis.generators import UnreadableReplyError
from efficient_empathy.synthesis.generators.reading import LONGEST, read_dialogue, read_response

TURNS = [("speaker", "My boat sank."), ("listener", "Oh no. Which one?"), ("speaker", "The red one."),
         ("listener", "You painted it yourself. What a loss.")]  # fmt: skip
DIALOGUE = ([Utterance(role, text) for role, text in TURNS[:3]], TURNS[3][1])  # type: ignore[arg-type]
LINES = "\n".join(f"{role.capitalize()}: {text}" for role, text in TURNS)


@pytest.mark.parametrize(
    "reply",
    [
        LINES,
        f"Sure! Here is a new dialogue:\n\n{LINES}",
        f"```\n{LINES}\n```",
        f"<think>Four lines, then.</think>\n{LINES}",
        LINES.replace("Speaker:", "**Speaker:**").replace("Listener:", "**Listener:**"),
        "\n".join(f"{i}. {line}" for i, line in enumerate(LINES.splitlines(), 1)),
        LINES.replace("Which one?", "\nWhich one?"),
        LINES + "\nSpeaker: Thank you.",
        json.dumps([{"role": role, "text": text} for role, text in TURNS]),
        json.dumps({"dialogue": [{"speaker": role.title(), "text": text} for role, text in TURNS]}),
        "```json\n" + json.dumps({"messages": [
            {"role": {"speaker": "user", "listener": "assistant"}[role], "content": text} for role, text in TURNS
        ]}) + "\n```",
        json.dumps([{role.title(): text} for role, text in TURNS]) + "\nI hope that helps!",
    ],
)  # fmt: skip
def test_a_dialogue_in_the_forms_that_models_choose(reply):
    context, response = read_dialogue(reply)
    assert (list(context), response) == DIALOGUE


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("<think>Let me think about", "thought aloud"),
        ("Once upon a time there was a boat.", "no lines"),
        ("Listener: Oh no.", "no line of a speaker"),
        ("Speaker: My boat sank.", "no line of a listener"),
        ('[{"role": "speaker", "text": "My boat', "cut off"),
        ('{"answer": 3}', "no list of turns"),
        ("[1, 2]", "no object"),
        ('[{"role": "captain", "text": "Ahoy"}]', "no role"),
        ("[" * 100_000, "nested too deep|cut off"),
    ],
)
def test_what_is_no_dialogue_says_why(reply, fault):
    with pytest.raises(UnreadableReplyError, match=fault):
        read_dialogue(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "You painted it yourself.",
        "Listener: You painted it yourself.",
        '"You painted it yourself."',
        "“You painted it yourself.”",
        "**Listener:** You painted it yourself.\n\nSpeaker: Yes.",
        '{"response": "You painted it yourself."}',
        "```\nYou painted it yourself.\n```",
    ],
)
def test_a_response_in_the_forms_that_models_choose(reply):
    assert read_response(reply) == "You painted it yourself."


def test_quotes_inside_a_response_stay():
    assert read_response('"Red" is what you called it, and "brave".') == '"Red" is what you called it, and "brave".'


@pytest.mark.parametrize(
    ("reply", "fault"),
    [("", "empty"), ("Listener:", "empty"), ("Speaker: Me again.", "as the speaker"), ('{"a": 1}', "no response")],
)
def test_what_is_no_response_says_why(reply, fault):
    with pytest.raises(UnreadableReplyError, match=fault):
        read_response(reply)


@given(st.text(max_size=300) | st.text(alphabet='{}[]":,Spkerlistn \n`<>*', max_size=300))
def test_whatever_comes_is_read_or_refused_and_nothing_else(reply):
    with suppress(UnreadableReplyError):
        context, response = read_dialogue(reply)
        assert context
        assert context[-1].role == "speaker" or response
    with suppress(UnreadableReplyError):
        assert read_response(reply).strip()


def test_ten_thousand_words_are_read_up_to_a_bound():
    context, response = read_dialogue("Speaker: hello\nListener: " + "word " * 10_000_0)
    assert len(response) < LONGEST
    assert [turn.text for turn in context] == ["hello"]
