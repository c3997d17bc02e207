"""From a model's reply to turns: labelled lines, or JSON, within code fences or without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from efficient_empathy.dialogues import Utterance
from efficient_empathy.dialogues.sample import Role
from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.synthesis.generators.contract import Exchange, UnreadableReplyError

LONGEST = 100_000
"""Characters of a reply that are read: no dialogue that is asked for is as long."""
_LABEL = re.compile(r"^[\s>*_#-]*(?:\d+[.)]\s*)?(speaker|listener)[*_ ]*[:：][*_]*[ \t]*", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r"\A```\w*\s*\n?(.*?)(?:\n?```\s*)?\Z", re.DOTALL)
_ROLES: dict[str, Role] = {
    "speaker": "speaker", "user": "speaker", "human": "speaker",
    "listener": "listener", "assistant": "listener", "friend": "listener",
}  # fmt: skip
_ROLE_KEYS, _TEXT_KEYS, _LIST_KEYS = ("role", "speaker", "from", "name"), ("text", "content", "value", "utterance"), (
    "dialogue", "dialog", "conversation", "messages", "turns", "lines",
)  # fmt: skip
_QUOTES = (("“", "”"), ('"', '"'), ("«", "»"), ("「", "」"))


def spoken(reply: str) -> str:
    """What of a reply is no thought and no code fence. Raises `UnreadableReplyError` where nothing is left."""
    text = strip_thoughts(reply[:LONGEST])
    answer = text.text.strip()
    if not answer:
        raise UnreadableReplyError("it only thought aloud" if reply.strip() else "the reply is empty")
    if fenced := _FENCE.match(answer):
        answer = fenced[1].strip()
    return answer


def read_response(reply: str, role: Role = "listener") -> str:
    """The one line of a role that a reply is, without its label and without quotes around all of it."""
    text = spoken(reply)
    if text.startswith(("{", "[")):
        text = _response_of(_parse(text))
    labels = list(_LABEL.finditer(text))
    if labels and not text[: labels[0].start()].strip():
        if (other := labels[0][1].lower()) != role:
            raise UnreadableReplyError(f"it goes on as the {other}")
        text = text[labels[0].end() : labels[1].start() if len(labels) > 1 else len(text)]
    text = text.strip()
    for left, right in _QUOTES:
        if len(text) > 1 and text.startswith(left) and text.endswith(right) and left not in text[1:-1]:
            text = text[1:-1].strip()
    if not text:
        raise UnreadableReplyError("the line is empty")
    return text


def read_dialogue(reply: str) -> Exchange:
    """The dialogue that a reply is: its last listener's line is the response, what follows it is left out.

    Lines without a label go on with the turn before; what stands before the first label is no dialogue. Raises
    `UnreadableReplyError` for what has no such line, or no turn of the speaker's before it.
    """
    text = spoken(reply)
    turns = list(_json_turns(_parse(text)) if text.startswith(("{", "[")) else _lines(text))
    while turns and turns[-1].role == "speaker":
        turns.pop()
    if not turns:
        raise UnreadableReplyError("it holds no line of a listener")
    if len(turns) < 2:
        raise UnreadableReplyError("it holds no line of a speaker before the listener's")
    return turns[:-1], turns[-1].text


def _lines(text: str) -> Iterator[Utterance]:
    labels = list(_LABEL.finditer(text))
    if not labels:
        raise UnreadableReplyError("it has no lines “Speaker:” and “Listener:”")
    ends = [label.start() for label in labels[1:]] + [len(text)]
    for label, end in zip(labels, ends, strict=True):
        yield Utterance(_ROLES[label[1].lower()], " ".join(text[label.end() : end].split()))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        try:
            return json.JSONDecoder().raw_decode(text)[0]  # words after a whole object
        except ValueError:
            raise UnreadableReplyError("its JSON is cut off or broken") from error
        except RecursionError:
            pass
    except RecursionError:
        pass
    raise UnreadableReplyError("its JSON is nested too deep")


def _json_turns(content: Any) -> Iterator[Utterance]:
    if isinstance(content, dict):
        content = next((content[key] for key in _LIST_KEYS if isinstance(content.get(key), list)), None)
    if not isinstance(content, list):
        raise UnreadableReplyError("its JSON holds no list of turns")
    for turn in content:
        if not isinstance(turn, dict):
            raise UnreadableReplyError("a turn of its JSON is no object")
        if len(turn) == 1:  # {"Speaker": "…"}
            role, text = next(iter(turn.items()))
        else:
            role = next((turn[key] for key in _ROLE_KEYS if key in turn), None)
            text = next((turn[key] for key in _TEXT_KEYS if key in turn), None)
        known = _ROLES.get(str(role).strip().lower())
        if known is None or not isinstance(text, str):
            raise UnreadableReplyError("a turn of its JSON has no role and text")
        yield Utterance(known, " ".join(text.split()))


def _response_of(content: Any) -> str:
    if isinstance(content, dict):
        values = [content[key] for key in ("response", "listener", *_TEXT_KEYS) if isinstance(content.get(key), str)]
        if values:
            return str(values[0])
    raise UnreadableReplyError("its JSON holds no response")
