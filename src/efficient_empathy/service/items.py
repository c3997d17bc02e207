"""From the body of a request to samples: any row that the package reads is an item, and a bad one costs no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from efficient_empathy.dialogues import Intake, Sample
from efficient_empathy.dialogues.containers.json_file import line_value
from efficient_empathy.dialogues.rows import show_value
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction.stage import row_samples

Turns = Literal["all", "last"]
MOST_REPLIES = 200
"""The most listener turns of one item: each is read with all that was said before it."""
MOST_CHARACTERS = 200_000
"""The longest item, in characters of what was said."""
MOST_MESSAGES = 2 * MOST_REPLIES + 100
"""The longest list of an item; the time to read one grows with its square."""


class BodyError(UserError):
    """A body that holds no items; `status` is the HTTP status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a request: its samples, or why it has none."""

    samples: Sequence[Sample] = ()
    fault: str = ""


def parse_body(body: bytes, most: int) -> list[Any]:
    """The items of a body: those of a JSON array, else the one that it is. Raises `BodyError` for what is neither.

    An array of messages is one item.
    """
    if not body.strip():
        raise BodyError("the body is empty: send a conversation as JSON, or an array of conversations")
    value, fault = line_value(body)
    if fault:
        raise BodyError(f"the body cannot be read: {fault.removesuffix(': write one a line')}")
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise BodyError(f"the body is {show_value(value)}: send a JSON object, or an array of objects")
    if not value:
        raise BodyError("the array is empty: send at least one conversation")
    if _is_message(value[0]):
        return [value]
    if len(value) > most:
        raise BodyError(f"the body has {len(value):,} conversations and {most:,} are taken at once: send fewer", 413)
    return value


def read_items(values: Sequence[Any], reading: ReadingSettings, turns: Turns = "all") -> list[Item]:
    """Each item as samples, one a listener turn, or the last alone."""
    return [_read(value, number, reading, turns) for number, value in enumerate(values)]


def _read(value: Any, number: int, reading: ReadingSettings, turns: Turns) -> Item:
    if isinstance(value, list):
        value = {"messages": value}
    if not isinstance(value, dict):
        return Item(fault=f"it is {show_value(value)}, not a JSON object")
    if (longest := max((len(one) for one in value.values() if isinstance(one, list)), default=0)) > MOST_MESSAGES:
        return Item(fault=f"it has {longest:,} turns and {MOST_MESSAGES:,} are read: send its last turns")
    if (size := max((len(one) for one in value.values() if isinstance(one, str)), default=0)) > MOST_CHARACTERS:
        return Item(fault=f"it has {size:,} characters and {MOST_CHARACTERS:,} are read: send its last turns")
    intake = Intake(reading)
    try:
        samples = row_samples(value, f"item {number}", intake)
    except UserError as error:
        return Item(fault=f"{error}")
    if not samples:
        return Item(fault=intake.bad_rows[0].reason if intake.bad_rows else "it has no reply of a listener")
    if len(samples) > MOST_REPLIES:
        return Item(fault=f"it has {len(samples):,} replies and {MOST_REPLIES:,} are read: send its last turns")
    if (size := sum(map(len, samples[-1].texts()))) > MOST_CHARACTERS:
        return Item(fault=f"it has {size:,} characters and {MOST_CHARACTERS:,} are read: send its last turns")
    return Item(samples[-1:] if turns == "last" else samples)


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and "content" in value
