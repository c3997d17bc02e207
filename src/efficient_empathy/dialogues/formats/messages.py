"""Chat messages, as TRL and the chat APIs have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, Row, each, holds_objects, objects_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.contexts import chat_at
from efficient_empathy.dialogues.turns.conversation import conversation


class Messages:
    """`messages` is a list of `{"role": …, "content": …}`; system and tool turns are left out.

    Assistant messages with `"train": false` are context alone, see `chat_of`.
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
            turns, targets = chat_at(objects_of(row.values, "messages"), ("role", "content"), intake)
            return conversation(turns, row, intake, targets=targets)

        return each(rows, intake, convert)
