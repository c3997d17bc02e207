"""One row a message: what data bases and ticket systems export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import chain
from typing import Any

from efficient_empathy.dialogues.formats.gathering import Gathered, check_whole, gather
from efficient_empathy.dialogues.formats.tree import seconds_of
from efficient_empathy.dialogues.rows import CATEGORY_KEYS, Intake, MalformedError, Row, each, label_of, show_value
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import chat_of
from efficient_empathy.dialogues.turns.conversation import conversation

CONVERSATION_COLUMNS: tuple[str, ...] = (
    *("conversation_id", "conv_id", "dialogue_id", "dialog_id", "chat_id", "session_id", "thread_id", "ticket_id"),
    *("case_id", "conversation", "conversationid", "sessionid", "chatid"),
)
ROLE_COLUMNS = ("role", "sender", "author", "speaker", "from", "sender_role", "author_role", "sender_type")
TEXT_COLUMNS = ("content", "text", "message", "utterance", "body", "value")
TIME_COLUMNS = ("timestamp", "created_at", "create_time", "sent_at", "datetime", "time", "date", "when")
ORDER_COLUMNS: tuple[str, ...] = (
    *("turn", "turn_id", "turn_index", "turn_number", "utterance_idx", "message_index", "index", "position", "order"),
    *("sequence", "seq", *TIME_COLUMNS),
)
"""In the order in which they are looked for."""


Columns = tuple[str, str, str]
"""Of the conversation, the role and the text."""


class MessageRows:
    """The rows of a conversation have one id in the column of `--group-by`, a role and a text.

    They may lie apart, as far as memory allows, see `gather`. They are put in the order of the first column of
    `ORDER_COLUMNS` that has a number or time in each of them; without one the file's order stands.
    """

    name = "message-rows"
    help = (
        "one message: `conversation_id` (`--group-by COLUMN` for another name), `role`, `content` or `text`, perhaps "
        "`turn`, `index`, `timestamp` or `created_at` for the order"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the three columns, none of which holds a list."""
        columns = [_first(row, names) for names in (CONVERSATION_COLUMNS, ROLE_COLUMNS, TEXT_COLUMNS)]
        if None in columns or "response" in row:
            return False
        _, role, text = (row[str(name)] for name in columns)
        return isinstance(role, str) and isinstance(text, str | None)

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per listener message."""
        rows = iter(rows)
        for first in rows:
            try:
                columns = columns_of(first.values, intake.settings.group_by)
            except MalformedError as error:
                intake.bad(first.place, str(error))
            else:
                yield from _samples(chain([first], rows), columns, intake)


def _samples(rows: Iterable[Row], columns: Columns, intake: Intake) -> Iterator[Sample]:
    group_by, role, text = columns

    def convert(group: Gathered) -> list[Sample]:
        check_whole(group, group_by)
        messages = _in_order(group.rows, role, intake)
        values = {
            "dialogue_id": label_of(messages[0].values, [group_by]),
            "category": next(filter(None, (label_of(row.values, CATEGORY_KEYS) for row in messages)), None),
            "split": next(filter(None, (label_of(row.values, ["split"]) for row in messages)), None),
        }
        turns, targets = chat_of([row.values for row in messages], role, text, intake)
        return conversation(turns, replace(messages[0], values=values), intake, targets=targets)

    def size_of(values: dict[str, Any]) -> int:
        return len(values[text]) if isinstance(values.get(text), str) else 0

    return each(gather(rows, intake, group_by, size_of), intake, convert)


def _first(row: dict[str, Any], names: Sequence[str]) -> str | None:
    lowered = {str(name).lower(): name for name in row}
    return next((lowered[name] for name in names if name in lowered), None)


def columns_of(values: dict[str, Any], group_by: str | None) -> Columns:
    """The columns of conversation, role and text; malformed, with the option to pass, if one is missing."""
    there = ", ".join(show_value(name) for name in values)
    if group_by is not None and group_by not in values:
        raise MalformedError(f"--group-by {group_by}: there is no such column, but {there}")
    columns = [
        group_by or _first(values, CONVERSATION_COLUMNS),
        _first(values, [name for name in ROLE_COLUMNS if name != group_by]),
        _first(values, [name for name in TEXT_COLUMNS if name != group_by]),
    ]
    options = ["which conversation a message belongs to (--group-by NAME)", "who wrote a message (--column role=NAME)"]
    options.append("what a message says (--column content=NAME)")
    for column, option in zip(columns, options, strict=True):
        if column is None:
            raise MalformedError(f"no column says {option}: there are {there}")
    group, role, text = columns
    return str(group), str(role), str(text)


def _in_order(rows: list[Row], role: str, intake: Intake) -> list[Row]:
    for name in ORDER_COLUMNS:
        column = _first(rows[0].values, [name])
        places = [_place(row.values.get(column)) for row in rows] if column is not None else []
        if places and None not in places and len(set(places)) > 1:
            order = sorted(range(len(rows)), key=lambda i: (places[i], i))
            if order == list(range(len(rows))):
                return rows
            if name not in TIME_COLUMNS:
                _check_once(rows, role, str(column))
            intake.repairs["conversations put in order"] += 1
            return [rows[i] for i in order]
    return rows


def _check_once(rows: list[Row], role: str, column: str) -> None:
    """Malformed if a voice has two messages of one number: two conversations have one id."""
    seen: set[tuple[Any, Any]] = set()
    for row in rows:
        place = (str(row.values.get(role)), _place(row.values.get(column)))
        if place in seen:
            number = show_value(row.values.get(column))
            raise MalformedError(
                f"its id comes back: {show_value(place[0])} has the {column} {number} twice, again at {row.place}: "
                "give each conversation an id of its own"
            )
        seen.add(place)


def _place(value: object) -> float | None:
    """A number or a time as a number."""
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    seconds = seconds_of(value)
    return None if seconds == float("-inf") else seconds
