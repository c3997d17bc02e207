"""ShareGPT conversations, as LLaMA-Factory and Axolotl have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, Row, each, holds_objects, objects_of
from efficient_empathy.dialogues.sample import Role, Sample
from efficient_empathy.dialogues.turns import conversation, targets_of, turns_of

_ROLES: dict[str, Role | None] = {"human": "speaker", "user": "speaker"}
_ROLES |= {"gpt": "listener", "assistant": "listener", "system": None}


class ShareGPT:
    """`conversations` is a list of `{"from": …, "value": …}` or `{"role": …, "content": …}`; no system turns.

    The model's turns with `"train": false` are context alone, see `targets_of`.
    """

    name = "sharegpt"
    help = "`conversations`: a list of `from`, `value` (or `role`, `content`)"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the keys of the first turn."""
        return holds_objects(row, "conversations", [("from", "value"), ("role", "content")])

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per turn of the model that is to be trained on."""

        def convert(row: Row) -> list[Sample]:
            turns = objects_of(row.values, "conversations")
            keys = ("role", "content") if turns and "role" in turns[0] else ("from", "value")
            if row.values.get("system"):
                intake.repairs["system turns left out"] += 1
            return conversation(
                turns_of(turns, *keys, _ROLES, intake),
                row,
                intake,
                targets=targets_of(turns, keys[0], _ROLES),
            )

        return each(rows, intake, convert)
