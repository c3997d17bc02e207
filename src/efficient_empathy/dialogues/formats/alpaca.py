"""Alpaca rows: an instruction, perhaps an input and a history, and an output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import METADATA_KEYS, Intake, Row, each, text_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.contexts import pairs_at, reply_at
from efficient_empathy.dialogues.turns.conversation import Turn, pair
from efficient_empathy.dialogues.turns.transcripts import parse_text


class Alpaca:
    """`output` answers a dialogue that stands in `instruction` or `input` as lines "Speaker: …" and "Listener: …".

    Without such lines, instruction and input are one speaker turn. `history` has pairs of earlier turns.
    """

    name = "alpaca"
    help = '`instruction`, `input`, `output`; the dialogue as lines "Speaker: …", "Listener: …"'

    def recognises(self, row: dict[str, Any]) -> bool:
        """By its keys; without an output if there is nothing but metadata beside the instruction."""
        if not isinstance(row.get("instruction"), str):
            return False
        names = {key for key, value in row.items() if value is not None}
        return isinstance(row.get("output"), str) or names <= METADATA_KEYS | {"instruction", "input", "history"}

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row."""

        def convert(row: Row) -> Iterator[Sample]:
            if row.values.get("system"):
                intake.repairs["system turns left out"] += 1
            yield pair(_context(row.values, intake), reply_at(row.values, "output", intake), row, intake)

        return each(rows, intake, convert)


def _context(values: dict[str, Any], intake: Intake) -> list[Turn]:
    texts = [text_of(values, "instruction")]
    if values.get("input") is not None:
        texts.append(text_of(values, "input"))
    text = "\n".join(text for text in texts if text)
    return pairs_at(values, "history") + (parse_text(text, intake) or [("speaker", text)])
