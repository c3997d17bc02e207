"""ShareGPT conversations, as LLaMA-Factory and Axolotl have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, Row, each, holds_objects, objects_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import message_keys
from efficient_empathy.dialogues.turns.contexts import chat_at
from efficient_empathy.dialogues.turns.conversation import conversation


class ShareGPT:
    """`conversations` is a list of `{"from": …, "value": …}` or `{"role": …, "content": …}`; no system or tool turns.

    The model's turns with `"train": false` are context alone, see `chat_of`.
    """

    name = "sharegpt"
    help = "`conversations`: a list of `from`, `value` (or `role`, `content`)"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of the first turn."""
        return holds_objects(row, "conversations", [("from", "value"), ("role", "content")])

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per turn of the model that is to be trained on."""

        def convert(row: Row) -> list[Sample]:
            items = objects_of(row.values, "conversations")
            keys = message_keys(items) or ("from", "value")
            if row.values.get("system"):
                intake.repairs["system turns left out"] += 1
            turns, targets = chat_at(items, keys, intake)
            return conversation(turns, row, intake, targets=targets)

        return each(rows, intake, convert)
