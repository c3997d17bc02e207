"""Named columns: a context in any of its usual forms, or an instruction, and a response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, Row, clean, each, has_instruction, text_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import message_keys
from efficient_empathy.dialogues.turns.contexts import reply_at, turns_at
from efficient_empathy.dialogues.turns.conversation import Turn, pair
from efficient_empathy.dialogues.turns.literals import parse_list
from efficient_empathy.dialogues.turns.transcripts import is_dialogue


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
                reply_at(row.values, "response", intake),
                row,
                intake,
            )

        return each(rows, intake, convert)


def _context(values: dict[str, Any], intake: Intake) -> list[Turn]:
    instruction = text_of(values, "instruction") if has_instruction(values) else ""
    if not instruction or instruction == values.get("context"):
        return turns_at(values, "context", intake)
    passage = _passage(values, intake)
    if passage is not None:
        return [("speaker", f"{instruction}\n{passage}".strip())]
    turns = turns_at(values, "context", intake)
    if turns and turns[-1][0] == "listener":
        return [*turns, ("speaker", instruction)]
    intake.repairs["preambles left out"] += 1
    return turns


def _passage(values: dict[str, Any], intake: Intake) -> str | None:
    """The text of a context that is no dialogue: empty without a context, None for a dialogue."""
    value = values.get("context")
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(clean(item) for item in value)
    if not isinstance(value, str):
        return None
    text = text_of(values, "context")
    items = parse_list(text)
    if items and message_keys(items):
        return None
    return None if is_dialogue(text, intake) else text
