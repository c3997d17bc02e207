"""Named columns: a context in any of its usual forms, or an instruction, and a response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.chat import message_keys, turns_of
from efficient_empathy.dialogues.rows import (
    Intake,
    MalformedError,
    Row,
    clean,
    each,
    has_instruction,
    holds_objects,
    list_of,
    require_value,
    show_value,
    text_of,
)
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns import (
    Turn,
    alternating,
    begins_with_label,
    has_separator,
    pair,
    parse_labelled,
    split_turns,
)

_KEYS = [("role", "text"), ("role", "content"), ("from", "value"), ("speaker", "text")]


class Table:
    """`context` is one speaker turn, turns joined by "</s>", lines "Speaker: …", "Listener: …", or a list of turns.

    Beside an `instruction`, as in Dolly, a `context` of plain text is a reference passage: instruction and passage are
    one speaker turn. Where the context is a dialogue, the instruction is the next speaker turn if a listener spoke
    last, and otherwise a preamble, left out and counted.
    """

    name = "table"
    help = (
        "columns `context` and `response`, or Dolly's `instruction`, `context`, `response`; `--column "
        "response=answer` names others"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By its two columns."""
        has_context = isinstance(row.get("context"), str | list) or has_instruction(row)
        return has_context and isinstance(row.get("response"), str)

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row."""

        def convert(row: Row) -> Iterator[Sample]:
            yield pair(
                _context(row.values, intake),
                text_of(row.values, "response"),
                row,
                intake,
            )

        return each(rows, intake, convert)


def _context(values: dict[str, Any], intake: Intake) -> list[Turn]:
    instruction = text_of(values, "instruction") if has_instruction(values) else ""
    if not instruction or instruction == values.get("context"):
        return _dialogue(values, intake)
    passage = _passage(values)
    if passage is not None:
        return [("speaker", f"{instruction}\n{passage}".strip())]
    turns = _dialogue(values, intake)
    if turns and turns[-1][0] == "listener":
        return [*turns, ("speaker", instruction)]
    intake.repairs["preambles left out"] += 1
    return turns


def _passage(values: dict[str, Any]) -> str | None:
    """The text of a context that is no dialogue: empty without a context, None for a dialogue.

    Text with "<s>" is HTML, its "</s>" no separator.
    """
    value = values.get("context")
    if value is None:
        return ""
    if holds_objects(values, "context", _KEYS):
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(clean(item) for item in value)
    if not isinstance(value, str):
        return None
    text = text_of(values, "context")
    return None if begins_with_label(text) or (has_separator(text) and "<s>" not in text) else text


def _dialogue(values: dict[str, Any], intake: Intake) -> list[Turn]:
    value = require_value(values, "context")
    if isinstance(value, str):
        text = text_of(values, "context")
        if text.startswith(("[{", '["')):
            return _list_turns(list_of(values, "context"), intake)
        if has_separator(text):
            return split_turns(text)
        return parse_labelled(text, intake) or [("speaker", text)]
    return _list_turns(list_of(values, "context"), intake)


def _list_turns(items: list[Any], intake: Intake) -> list[Turn]:
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) == len(items):
        return alternating(texts)
    objects = [item for item in items if isinstance(item, dict)]
    if len(objects) < len(items):
        raise MalformedError(f"'context' holds neither texts alone nor objects alone: {show_value(items)}")
    return turns_of(objects, *(message_keys(objects) or _KEYS[0]), intake)
