"""Formats: how a row's values are a dialogue. A new one is a new file and one line in `READERS`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from efficient_empathy.dialogues.formats.alpaca import Alpaca
from efficient_empathy.dialogues.formats.empathetic_dialogues import EmpatheticDialogues
from efficient_empathy.dialogues.formats.esconv import ESConv
from efficient_empathy.dialogues.formats.judged import Judged
from efficient_empathy.dialogues.formats.messages import Messages
from efficient_empathy.dialogues.formats.reader import Reader
from efficient_empathy.dialogues.formats.samples import Samples
from efficient_empathy.dialogues.formats.sharegpt import ShareGPT
from efficient_empathy.dialogues.formats.table import Table
from efficient_empathy.foundation.errors import UserError

READERS: list[Reader] = [
    Samples(),
    EmpatheticDialogues(),
    ESConv(),
    Messages(),
    ShareGPT(),
    Alpaca(),
    Judged(),
    Table(),
]
"""Every format, the more specific ones first."""

FORMATS = [reader.name for reader in READERS]


def reader_named(name: str) -> Reader:
    """The reader of the format called `name`."""
    for reader in READERS:
        if reader.name == name:
            return reader
    raise UserError(f'unknown format "{name}": known are {", ".join(FORMATS)}')


def recognised(rows: Iterable[dict[str, Any]]) -> Reader | None:
    """The first of `READERS` that any of the rows is of."""
    best = len(READERS)
    for row in rows:
        best = next((i for i, reader in enumerate(READERS[:best]) if reader.recognises(row)), best)
    return READERS[best] if best < len(READERS) else None
