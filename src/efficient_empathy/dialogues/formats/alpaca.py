"""Alpaca rows: an instruction, perhaps an input and a history, and an output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, clean, each, list_of, show_value, text_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns import Turn, pair, parse_labelled

_OWN_LABEL = re.compile(r"listener[ \t]*:", re.IGNORECASE)


class Alpaca:
    """`output` answers a dialogue that stands in `instruction` or `input` as lines "Speaker: …" and "Listener: …".

    Without such lines, instruction and input are one speaker turn. `history` has pairs of earlier turns.
    """

    name = "alpaca"
    help = '`instruction`, `input`, `output`; the dialogue as lines "Speaker: …", "Listener: …"'

    def recognises(self, row: dict[str, Any]) -> bool:
        """By its keys."""
        return isinstance(row.get("instruction"), str) and isinstance(row.get("output"), str)

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample a row."""

        def convert(row: Row) -> Iterator[Sample]:
            output = text_of(row.values, "output")
            label = _OWN_LABEL.match(output)
            yield pair(
                _context(row.values, intake),
                output[label.end() :].strip() if label else output,
                row,
                intake,
            )

        return each(rows, intake, convert)


def _context(values: dict[str, Any], intake: Intake) -> list[Turn]:
    texts = [text_of(values, "instruction")]
    if values.get("input") is not None:
        texts.append(text_of(values, "input"))
    text = "\n".join(text for text in texts if text)
    return _history(values) + (parse_labelled(text, intake) or [("speaker", text)])


def _history(values: dict[str, Any]) -> list[Turn]:
    turns: list[Turn] = []
    if values.get("history"):
        for item in list_of(values, "history"):
            if not (isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)):
                raise MalformedError(f"'history' holds {show_value(item)}, not a pair of texts")
            turns += [("speaker", clean(item[0])), ("listener", clean(item[1]))]
    return turns
