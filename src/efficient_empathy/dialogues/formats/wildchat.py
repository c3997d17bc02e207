"""WildChat, LMSYS-Chat-1M and their like: a conversation with a chat bot a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import DIALOGUE_KEYS, Intake, Row, each, holds_objects, objects_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import chat_of, message_keys
from efficient_empathy.dialogues.turns.conversation import conversation


class WildChat:
    """`conversation` is a list of `{"role": …, "content": …}`; `language`, `toxic`, `redacted` leave nothing out."""

    name = "wildchat"
    help = "`conversation`: a list of `role`, `content`, as in WildChat and LMSYS-Chat-1M"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of the first message."""
        return holds_objects(row, "conversation", [("role", "content"), ("from", "value")])

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per reply."""

        def convert(row: Row) -> list[Sample]:
            items = objects_of(row.values, "conversation")
            turns, targets = chat_of(items, *(message_keys(items) or ("role", "content")), intake)
            return conversation(
                turns, row, intake, dialogue_keys=["conversation_hash", *DIALOGUE_KEYS], targets=targets
            )

        return each(rows, intake, convert)
