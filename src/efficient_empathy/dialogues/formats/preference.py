"""Preference pairs: one context and two replies, of which people or a model chose one (DPO, reward models)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from efficient_empathy.dialogues.rows import (
    DIALOGUE_KEYS,
    SIDE_KEYS,
    Intake,
    LeftOutError,
    MalformedError,
    Row,
    clean,
    each,
    flag_of,
    label_of,
    objects_of,
    require_value,
)
from efficient_empathy.dialogues.sample import Sample, Side
from efficient_empathy.dialogues.turns.chat import chat_of, message_keys
from efficient_empathy.dialogues.turns.contexts import pairs_at, turns_at
from efficient_empathy.dialogues.turns.conversation import (
    Turn,
    conversation,
    count_utterances,
    dialogue_hash,
    merge_turns,
)
from efficient_empathy.dialogues.turns.literals import parse_list
from efficient_empathy.dialogues.turns.transcripts import alternating, parse_text, reply_text

SIDES = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("preferred_output", "non_preferred_output"),
)
"""Under which keys a row has its chosen and its rejected reply."""
_PROMPTS = ("prompt", "conversations", "messages", "conversation", "context", "question", "query", "input")


class Preference:
    """`chosen` and `rejected` answer a `prompt`, or are whole dialogues that differ in the last reply.

    Replies are texts, messages or lists of messages; dialogues also texts with labels ("Human: …"). The chosen reply is
    read, or what `--side` says; a pair's two samples have one `dialogue_id` and `turn`.
    """

    name = "preference"
    help = (
        "`chosen` and `rejected` (text, message or messages) with `prompt`, `question`, `instruction` or "
        "`conversations`, or as whole dialogues; see `--side`"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By its two sides."""
        return _keys(row) is not None

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row, two with `--side both`; and the replies before, where both sides are whole dialogues."""
        return each(rows, intake, lambda row: _samples(row, intake))


def _keys(values: dict[str, Any]) -> tuple[str, str] | None:
    return next((pair for pair in SIDES if all(isinstance(values.get(k), str | list | dict) for k in pair)), None)


def _samples(row: Row, intake: Intake) -> list[Sample]:
    keys = _keys(row.values) or next((pair for pair in SIDES if row.values.get(pair[0]) is not None), SIDES[0])
    intake.sides = True
    wanted = intake.settings.side or "chosen"
    prompt = _prompt(row.values, intake)
    chosen = _dialogue(row.values, keys[0], prompt, intake)
    rejected = _rejected(row.values, keys[1], prompt, intake, required=wanted != "chosen")
    if rejected == chosen:
        if intake.settings.side:
            raise LeftOutError("pairs whose sides are the same left out")
        intake.repairs["pairs whose sides are the same, read as one reply of no side"] += 1
    elif rejected is None:
        intake.repairs["pairs without a rejected reply"] += 1
    elif wanted != "chosen" and chosen[:-1] != rejected[:-1]:
        raise MalformedError(f"{keys[0]!r} and {keys[1]!r} differ in more than the last reply")
    return _of_sides(row, intake, count_utterances(prompt), chosen, rejected, wanted)


def _of_sides(
    row: Row, intake: Intake, given: int, chosen: list[Turn], rejected: list[Turn] | None, wanted: str
) -> list[Sample]:
    """The samples: replies after the first `given` turns that both sides share, then those of the sides wanted."""
    scratch = Intake(intake.settings)
    shared = dialogue_hash(merge_turns(chosen, scratch)[0][:-1])
    values = {key: value for key, value in row.values.items() if flag_of(value) is None or key not in SIDE_KEYS}
    bare = replace(row, values=values | {"dialogue_id": label_of(values, DIALOGUE_KEYS) or shared})
    first = [sample for sample in conversation(chosen, bare, intake) if sample.turn >= given]
    if not first:
        raise MalformedError("the dialogue before both sides ends in a listener's turn, so neither side is a reply")
    before, last = first[:-1], first[-1]
    if rejected == chosen:
        return first
    results = [*before]
    if wanted in ("chosen", "both"):
        results.append(replace(last, side="chosen"))
    if rejected is not None and wanted in ("rejected", "both"):
        results.append(replace(conversation(rejected, bare, scratch)[-1], side="rejected"))
    if wanted != "both" and rejected is not None:
        other: Side = "rejected" if wanted == "chosen" else "chosen"
        intake.repairs[f"{other} replies left out"] += 1
    return results


def _prompt(values: dict[str, Any], intake: Intake) -> list[Turn]:
    """The turns before both replies; none where the sides are whole dialogues."""
    if values.get("system"):
        intake.repairs["system turns left out"] += 1
    history = pairs_at(values, "history")
    if isinstance(values.get("instruction"), str):
        texts = [clean(values["instruction"]), clean(str(values.get("input") or ""))]
        text = "\n".join(text for text in texts if text)
        return [*history, *(parse_text(text, intake) or [("speaker", text)])]
    for key in _PROMPTS:
        value = values.get(key)
        if isinstance(value, dict) and isinstance(value.get("messages"), list):
            return turns_at(value, "messages", intake)
        if value:
            return [*history, *turns_at(values, key, intake)]
    return history


def _rejected(
    values: dict[str, Any], key: str, prompt: list[Turn], intake: Intake, *, required: bool
) -> list[Turn] | None:
    """The rejected dialogue; None for one that is missing or malformed where it is not `required`."""
    if required:
        return _dialogue(values, key, prompt, intake)
    try:
        return _dialogue(values, key, prompt, Intake(intake.settings))
    except (MalformedError, LeftOutError):
        return None


def _dialogue(values: dict[str, Any], key: str, prompt: list[Turn], intake: Intake) -> list[Turn]:
    """The prompt's turns and the side's, up to the side's last reply."""
    value = require_value(values, key)
    turns = (
        _text_turns(value, key, prompt, intake) if isinstance(value, str) else _chat_turns(value, key, prompt, intake)
    )
    turns = [turn for turn in turns if turn[1]]
    if not turns or turns[-1][0] == "speaker":
        raise MalformedError(f"{key!r} has no reply" if not turns else f"{key!r} ends without a reply")
    if turns[0][0] == "listener":
        if not prompt:
            raise MalformedError(f"{key!r} is a reply to nothing: there is no {', '.join(map(repr, _PROMPTS[:-1]))}")
        return [*prompt, *turns]
    asked = [turn for turn in prompt if turn[1]]
    if turns[: len(asked)] != asked:
        raise MalformedError(f"{key!r} does not begin with the turns of the prompt beside it")
    return turns


def _text_turns(value: str, key: str, prompt: list[Turn], intake: Intake) -> list[Turn]:
    text = clean(value)
    if (items := parse_list(text)) and all(isinstance(item, str | dict) for item in items):
        return _chat_turns(items, key, prompt, intake)
    scratch = Intake(intake.settings)
    turns = parse_text(text, scratch, reply_follows=False) if text else []
    asked = [turn for turn in prompt if turn[1]]
    if turns and turns[0][0] == "speaker" and turns[: len(asked)] == asked and len(turns) > 1:
        intake.repairs.update(scratch.repairs)
        return turns
    reply = reply_text(text, key, intake)
    return [("listener", reply)] if reply else []


def _chat_turns(value: Any, key: str, prompt: list[Turn], intake: Intake) -> list[Turn]:
    items = value if isinstance(value, list) else [value]
    if items and all(isinstance(item, str) for item in items):
        whole = not prompt or (len(items) > 1 and clean(items[0]) == prompt[0][1])
        return alternating(items, reply_follows=False) if whole else _replies(items)
    if not all(isinstance(item, dict) for item in items):
        raise MalformedError(f"{key!r} holds neither texts alone nor messages alone")
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        items = objects_of(value, "messages")
    return chat_of(items, *(message_keys(items) or ("role", "content")), intake)[0]


def _replies(items: list[str]) -> list[Turn]:
    """Texts that go on after a prompt, the listener's first."""
    return [("speaker" if i % 2 else "listener", clean(text)) for i, text in enumerate(items)]
