"""ESConv: emotional-support conversations (Liu et al. 2021), and its failed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import CATEGORY_KEYS, Intake, Row, each, holds_objects, objects_of
from efficient_empathy.dialogues.sample import Role, Sample
from efficient_empathy.dialogues.turns.chat import message_keys, turns_of
from efficient_empathy.dialogues.turns.conversation import conversation

_ROLES: dict[str, Role | None] = {"sys": "listener"}


class ESConv:
    """`dialog` is a list of `{"speaker": …, "text": …}`, the text also as `content`; the category is `emotion_type`."""

    name = "esconv"
    help = "`dialog`: a list of `speaker`, `text` (or `content`)"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of the first turn."""
        return holds_objects(row, "dialog", [("speaker", "text"), ("speaker", "content")])

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per supporter turn."""

        def convert(row: Row) -> list[Sample]:
            items = objects_of(row.values, "dialog")
            keys = message_keys(items) or ("speaker", "text")
            return conversation(
                turns_of(items, *keys, intake, _ROLES),
                row,
                intake,
                category_keys=["emotion_type", *CATEGORY_KEYS],
            )

        return each(rows, intake, convert)
