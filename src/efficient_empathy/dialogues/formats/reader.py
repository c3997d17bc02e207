"""The contract of every format, and the formats there are: the package's own, and those of installed packages.

A new one is a new file and one line in `BUILT_IN`, or an entry point of a package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from efficient_empathy.dialogues.rows import Intake, Row
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.foundation.plugins import Plugins


class Reader(Protocol):
    """One format: how rows are read as samples. It knows nothing of files.

    A row that carries no sample goes to `intake.bad` with its reason, what is mended is counted in `intake.repairs`,
    and nothing but a `UserError` is raised, whatever the values are (`rows.each` sees to both).
    """

    name: str
    """What `--format` calls it."""
    help: str
    """What a row of it has, in one line, for the handbook."""

    def recognises(self, row: dict[str, Any]) -> bool:
        """Whether a row is of this format."""
        ...

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """The samples of one file's rows, in order, lazily."""
        ...


BUILT_IN = {
    "samples": "efficient_empathy.dialogues.formats.samples:Samples",
    "empathetic-dialogues": "efficient_empathy.dialogues.formats.empathetic_dialogues:EmpatheticDialogues",
    "esconv": "efficient_empathy.dialogues.formats.esconv:ESConv",
    "chatgpt": "efficient_empathy.dialogues.formats.chatgpt:ChatGPT",
    "claude": "efficient_empathy.dialogues.formats.claude:Claude",
    "oasst": "efficient_empathy.dialogues.formats.oasst:OASST",
    "otel": "efficient_empathy.dialogues.formats.otel:OpenTelemetry",
    "langfuse": "efficient_empathy.dialogues.formats.langfuse:Langfuse",
    "langsmith": "efficient_empathy.dialogues.formats.langsmith:LangSmith",
    "preference": "efficient_empathy.dialogues.formats.preference:Preference",
    "completion": "efficient_empathy.dialogues.formats.completion:Completion",
    "messages": "efficient_empathy.dialogues.formats.messages:Messages",
    "sharegpt": "efficient_empathy.dialogues.formats.sharegpt:ShareGPT",
    "wildchat": "efficient_empathy.dialogues.formats.wildchat:WildChat",
    "whatsapp": "efficient_empathy.dialogues.formats.whatsapp:WhatsApp",
    "alpaca": "efficient_empathy.dialogues.formats.alpaca:Alpaca",
    "message-rows": "efficient_empathy.dialogues.formats.message_rows:MessageRows",
    "utterances": "efficient_empathy.dialogues.formats.utterances:Utterances",
    "transcript": "efficient_empathy.dialogues.formats.transcript:Transcript",
    "judged": "efficient_empathy.dialogues.formats.judged:JudgedJSON",
    "table": "efficient_empathy.dialogues.formats.table:Table",
}
"""Each a class that follows `Reader`, the more specific ones first; the last takes any context beside a response."""
ENTRY_POINTS = "efficient_empathy.formats"
"""The group under which an installed package names its formats: each a class that follows `Reader`."""

FORMATS: Plugins[type[Reader]] = Plugins("format", ENTRY_POINTS, BUILT_IN)

_CONTRACT = ("name", "help", "recognises", "samples")


def format_names() -> tuple[str, ...]:
    """The names that `find_reader` knows: the package's own, then those of installed packages."""
    return FORMATS.names()


def find_reader(name: str) -> Reader:
    """The reader of the format called `name`. Raises `UserError` for none, and for one that breaks `Reader`."""
    kind = FORMATS.load(name)
    if name in BUILT_IN:
        return kind()
    try:
        reader = kind()
    except Exception as error:
        raise FORMATS.error(name, f"cannot be made: {error or type(error).__name__}") from error
    if missing := [part for part in _CONTRACT if not hasattr(reader, part)]:
        raise FORMATS.error(name, f"has no {missing[0]}, which every Reader has")
    if reader.name != name:
        raise FORMATS.error(name, f"calls itself {reader.name!r}: its name and its entry point's must be the same")
    return reader


def recognise_format(rows: Iterable[dict[str, Any]]) -> Reader | None:
    """The most specific format that any of the rows is of; those of installed packages come before the last of ours."""
    *specific, last = BUILT_IN
    readers = [find_reader(name) for name in (*specific, *FORMATS.find_installed(), last)]
    best = len(readers)
    for row in rows:
        best = next((i for i, reader in enumerate(readers[:best]) if reader.recognises(row)), best)
    return readers[best] if best < len(readers) else None
