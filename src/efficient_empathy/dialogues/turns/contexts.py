"""A dialogue in any of its forms: one text, a list of texts, of pairs, or of messages; also as text in a cell."""

from __future__ import annotations

from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, clean, require_value, show_value, text_of
from efficient_empathy.dialogues.turns.chat import chat_of, message_keys, turns_of
from efficient_empathy.dialogues.turns.conversation import Turn
from efficient_empathy.dialogues.turns.literals import looks_like_list, parse_list
from efficient_empathy.dialogues.turns.transcripts import alternating, is_dialogue, is_plain, parse_text, reply_text


def turns_at(values: dict[str, Any], key: str, intake: Intake, *, reply_follows: bool = True) -> list[Turn]:
    """The turns of the dialogue at `key`; plain text is one turn of the speaker.

    `reply_follows` says that the dialogue ends before the reply of its row; turns without roles are told by counting
    back from there. Malformed for what is no dialogue.
    """
    value = require_value(values, key)
    if isinstance(value, str):
        text = clean(value)
        if is_plain(text):
            return [("speaker", text)]
        items = parse_list(text)
        if items is None and looks_like_list(text):
            raise MalformedError(f"{key!r} looks like a list, but neither JSON nor Python reads it: {show_value(text)}")
        if not items or not all(isinstance(item, str | dict | list) for item in items):
            return parse_text(text, intake, reply_follows=reply_follows) or [("speaker", text)]
        value = items
    if isinstance(value, dict):
        value = _messages_of_columns(value)
    if not isinstance(value, list):
        raise MalformedError(f"{key!r} is {show_value(value)}, not a list")
    return _list_turns(value, key, intake, reply_follows)


def pairs_at(values: dict[str, Any], key: str) -> list[Turn]:
    """The turns of a list of pairs, speaker's and listener's, as a history has them; none without one."""
    value = values.get(key)
    items = parse_list(value) if isinstance(value, str) else value
    if not value:
        return []
    if not isinstance(items, list):
        raise MalformedError(f"{key!r} is {show_value(value)}, not a list of pairs")
    return _pair_turns(items, key)


def reply_at(values: dict[str, Any], key: str, intake: Intake) -> str:
    """The reply at `key`, without its label, see `reply_text`; empty if there is none and open ends are asked for."""
    value = values.get(key)
    if value is None or value == "":
        intake.unanswered += intake.open_ends is False and value is None
        if intake.open_ends:
            return ""
    return reply_text(text_of(values, key), key, intake)


def chat_at(items: list[dict[str, Any]], keys: tuple[str, str], intake: Intake) -> tuple[list[Turn], list[bool] | None]:
    """A list of messages as of `chat_of`; where its only question holds a conversation, with that one's turns.

    These are context: the reply is the message that answers them.
    """
    turns, targets = chat_of(items, *keys, intake)
    if len(turns) == 2 and [role for role, _ in turns] == ["speaker", "listener"] and is_dialogue(turns[0][1], intake):
        before = parse_text(turns[0][1], intake) or turns[:1]
        if len(before) > 1 and before[-1][0] == "speaker":
            return [*before, turns[1]], [*[False] * len(before), True if targets is None else targets[1]]
    return turns, targets


def _list_turns(items: list[Any], key: str, intake: Intake, reply_follows: bool) -> list[Turn]:
    if all(isinstance(item, str) for item in items):
        return alternating(items, reply_follows=reply_follows)
    if all(isinstance(item, list | tuple) for item in items):
        return _pair_turns(items, key)
    if not all(isinstance(item, dict) for item in items):
        raise MalformedError(f"{key!r} holds neither texts alone nor objects alone: {show_value(items)}")
    return turns_of(items, *(message_keys(items) or ("role", "content")), intake)


def _pair_turns(items: list[Any], key: str) -> list[Turn]:
    turns: list[Turn] = []
    for item in items:
        pair = list(item) if isinstance(item, list | tuple) else []
        if len(pair) != 2 or not all(isinstance(text, str | None) for text in pair):
            raise MalformedError(f"{key!r} holds {show_value(item)}, not a pair of texts")
        turns += [("speaker", clean(pair[0] or "")), ("listener", clean(pair[1] or ""))]
    return turns[:-1] if turns and turns[-1] == ("listener", "") else turns


def _messages_of_columns(value: dict[str, Any]) -> list[Any]:
    """A message alone as a list of one, and an object of lists, as `datasets` has them, as a list of messages."""
    columns = {key: column for key, column in value.items() if isinstance(column, list)}
    if columns and len({len(column) for column in columns.values()}) == 1 and message_keys([value]):
        role_key, text_key = message_keys([value]) or ("", "")
        if role_key in columns and text_key in columns:
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [value]
