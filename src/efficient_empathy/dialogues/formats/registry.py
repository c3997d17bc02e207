"""The formats there are: the package's own, and those of installed packages.

A new one is a new file and one line in `READERS`, or an entry point of a package.
"""

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
from efficient_empathy.foundation.plugins import load_plugin, plugin_error, plugins

ENTRY_POINTS = "efficient_empathy.formats"
"""The group under which an installed package names its formats: each a class that follows `Reader`."""

READERS: tuple[Reader, ...] = (
    Samples(),
    EmpatheticDialogues(),
    ESConv(),
    Messages(),
    ShareGPT(),
    Alpaca(),
    Judged(),
    Table(),
)
"""The package's own formats, the more specific ones first; the last takes what has a context and a response."""

_CONTRACT = ("name", "help", "recognises", "samples")


def format_names() -> tuple[str, ...]:
    """The names that `reader_named` knows: the package's own, then those of installed packages."""
    return (*(reader.name for reader in READERS), *_added())


def reader_named(name: str) -> Reader:
    """The reader of the format called `name`. Raises `UserError` for an unknown one."""
    for reader in READERS:
        if reader.name == name:
            return reader
    if name in _added():
        return _plugin(name)
    raise UserError(f'unknown format "{name}": known are {", ".join(format_names())}')


def recognised(rows: Iterable[dict[str, Any]]) -> Reader | None:
    """The most specific format that any of the rows is of; those of installed packages stand before the table."""
    *specific, table = READERS
    readers = [*specific, *(_plugin(name) for name in _added()), table]
    best = len(readers)
    for row in rows:
        best = next((i for i, reader in enumerate(readers[:best]) if reader.recognises(row)), best)
    return readers[best] if best < len(readers) else None


def _added() -> list[str]:
    """The formats of installed packages; none of them takes the name of one of ours."""
    return sorted(plugins(ENTRY_POINTS).keys() - {reader.name for reader in READERS})


def _plugin(name: str) -> Reader:
    point = plugins(ENTRY_POINTS)[name]
    reader = load_plugin(point, "format")
    if missing := [part for part in _CONTRACT if not hasattr(reader, part)]:
        raise plugin_error(point, "format", f"has no {missing[0]}: see the contract, `Reader`")
    if reader.name != name:
        raise plugin_error(point, "format", f"calls itself {reader.name!r}: name and entry point must be the same")
    made: Reader = reader
    return made
