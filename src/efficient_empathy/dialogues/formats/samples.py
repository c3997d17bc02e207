"""Our own samples: `samples.parquet`, or JSON lines with the same columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from efficient_empathy.dialogues.rows import Intake, Row, each, label_of, objects_of, text_of
from efficient_empathy.dialogues.sample import Sample, Side
from efficient_empathy.dialogues.turns.chat import turns_of
from efficient_empathy.dialogues.turns.conversation import pair, require_side


class Samples:
    """Rows with the columns of `SAMPLE_SCHEMA`. Ids are computed anew: they are hashes of the text."""

    name = "samples"
    help = "our own `samples.parquet`"

    def recognises(self, row: dict[str, Any]) -> bool:
        """By the columns that every sample has."""
        return {"sample_id", "dialogue_id", "turn", "context", "response"} <= row.keys()

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row."""

        def convert(row: Row) -> Iterator[Sample]:
            sample = pair(
                turns_of(objects_of(row.values, "context"), "role", "text", intake),
                text_of(row.values, "response"),
                row,
                intake,
                dialogue_keys=["dialogue_id"],
                category_keys=["category"],
            )
            yield replace(sample, source=label_of(row.values, ["source"]) or row.source, side=_side(row, intake))

        return each(rows, intake, convert)


def _side(row: Row, intake: Intake) -> Side | None:
    side = row.values.get("side")
    return require_side(side, intake) if side == "chosen" or side == "rejected" else None
