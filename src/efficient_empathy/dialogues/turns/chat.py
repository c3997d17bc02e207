"""Lists of messages, as chat APIs and data sets have them: who said each, its text, whether it is to be trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, require_value, show_value
from efficient_empathy.dialogues.sample import Role
from efficient_empathy.dialogues.turns.content import content_text, without_reasoning
from efficient_empathy.dialogues.turns.conversation import Turn

ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
TEXT_KEYS = ("content", "value", "text", "message", "utterance")
_CALLS = ("tool_calls", "function_call")


def message_keys(items: Sequence[Any]) -> tuple[str, str] | None:
    """The keys under which a list of messages has roles and texts, None if it is no such list.

    A key that is null is none, as where `datasets` has put the columns of several files together.
    """
    first = next(iter(items), None)
    if not isinstance(first, dict):
        return None
    role_key = next((key for key in ROLE_KEYS if first.get(key) is not None), None)
    text_key = next((key for key in TEXT_KEYS if first.get(key) is not None and key != role_key), None)
    text_key = text_key or next((key for key in TEXT_KEYS if key in first and key != role_key), None)
    return (role_key, text_key) if role_key and text_key else None


def turns_of(
    items: Sequence[dict[str, Any]],
    role_key: str,
    text_key: str,
    intake: Intake,
    roles: Mapping[str, Role | None] | None = None,
) -> list[Turn]:
    """The turns of a list of messages; system, tool and other turns of no voice are left out and counted by kind.

    `roles` are names that a format has beside those known to all; None leaves turns out. `--role` wins over both.
    """
    return chat_of(items, role_key, text_key, intake, roles)[0]


def chat_of(
    items: Sequence[dict[str, Any]],
    role_key: str,
    text_key: str,
    intake: Intake,
    roles: Mapping[str, Role | None] | None = None,
) -> tuple[list[Turn], list[bool] | None]:
    """The turns as of `turns_of`, and which of them are to be trained on; None where no message says so.

    A message says so by `train` or `training`, true or false, as Axolotl reads and our own subsets have it, by
    `weight` 0 as for OpenAI, `loss` false, or `masked` true. Where a listener's message says `train: true`, those that
    say nothing are none to train on.
    """
    turns: list[Turn] = []
    marks: list[bool | None] = []
    for item in items:
        is_plain = len(item) == 2
        name = require_value(item, role_key)
        meaning = intake.roles.meaning(name, roles)
        if meaning is None:
            raise MalformedError(unknown_role(name, role_key))
        if meaning == "speaker":
            turns.append(("speaker", content_text(item, text_key, intake)))
            marks.append(None)
        elif meaning != "listener":
            intake.repairs[meaning] += 1
        elif (text := _reply(item, text_key, intake, is_plain=is_plain)) is not None:
            turns.append(("listener", text))
            marks.append(None if is_plain else _mark(item))
    return turns, _targets(turns, marks)


def unknown_role(name: object, key: str) -> str:
    """The fault of a role that nothing is known of, with the option to pass."""
    shown = str(name)
    option = shown if re.fullmatch(r"[\w.+@-]{1,40}", shown) else "NAME"
    if option == "NAME" and shown.isprintable() and 0 < len(shown) <= 40 and not set(shown) & set('"$`\\!='):
        option = f'"{shown}"'
    return f"unknown role {show_value(name)} at {key!r}: pass --role {option}=speaker, =listener or =drop"


def _reply(item: dict[str, Any], text_key: str, intake: Intake, *, is_plain: bool) -> str | None:
    """A listener's text, None if the message does nothing but call tools; a plain one has nothing but role and text."""
    if is_plain:
        return without_reasoning(content_text(item, text_key, intake), intake)
    if any(item.get(key) for key in _CALLS):
        intake.repairs["tool calls left out"] += 1
        if not item.get(text_key):
            return None
    if item.get(text_key) is None and isinstance(item.get("refusal"), str):
        text_key = "refusal"
    return without_reasoning(content_text(item, text_key, intake), intake)


def _targets(turns: Sequence[Turn], marks: Sequence[bool | None]) -> list[bool] | None:
    if marks.count(None) == len(marks):
        return None
    listeners = [mark for (role, _), mark in zip(turns, marks, strict=True) if role == "listener"]
    unmarked = True not in listeners
    return [unmarked if mark is None else mark for mark in marks]


def _mark(item: dict[str, Any]) -> bool | None:
    """Whether a message is to be trained on, None if it does not say. A weight over 0 is the same as none."""
    for key in ("train", "training"):
        if (flag := _flag(item.get(key))) is not None:
            return flag
    if any(_flag(item.get(key)) is False for key in ("weight", "loss", "loss_mask")):
        return False
    return False if any(_flag(item.get(key)) for key in ("masked", "mask")) else None


def _flag(value: object) -> bool | None:
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None
