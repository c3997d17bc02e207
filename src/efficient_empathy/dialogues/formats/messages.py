"""Chat messages, as TRL and the chat APIs have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, holds_objects, objects_of, show_value
from efficient_empathy.dialogues.sample import Role, Sample
from efficient_empathy.dialogues.turns import conversation, targets_of, turns_of

ROLES: dict[str, Role | None] = {"user": "speaker", "assistant": "listener", "system": None}


class Messages:
    """`messages` is a list of `{"role": "user" | "assistant" | "system", "content": …}`; system turns are left out.

    Assistant messages with `"train": false` are context alone, see `targets_of`.
    """

    name = "messages"
    help = (
        "`messages`: a list of `role`, `content`, perhaps `train`; a selection's `SUBSET.jsonl` and "
        "`SUBSET.parquet` too"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of the first message."""
        return holds_objects(row, "messages", [("role", "content")])

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per assistant message that is to be trained on."""

        def convert(row: Row) -> list[Sample]:
            messages = [_with_text(message) for message in objects_of(row.values, "messages")]
            return conversation(
                turns_of(messages, "role", "content", ROLES, intake),
                row,
                intake,
                targets=targets_of(messages, "role", ROLES),
            )

        return each(rows, intake, convert)


def _with_text(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its content as text, where it is a list of text parts."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return message
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise MalformedError(f"'content' holds {show_value(part)}, which is no text")
    return {**message, "content": "\n".join(part["text"] for part in parts)}
