"""What the page New run says of a source: the first samples at once, and the counts of all as they are made."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.columns import source_columns
from efficient_empathy.dialogues.inspection import as_record
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError, mask

_EXAMPLES = 3
_FIRST = 200
"""Samples within which the examples are looked for."""
_EXAMPLE_TEXT = 600
_CATEGORIES = 30


def first_look(source: str, settings: ReadingSettings) -> dict[str, Any]:
    """The columns, how they are read, and three samples; or why it cannot be read.

    Where its format is not known and the form has named no column, the likeliest columns are taken, and `guessed` says
    so.
    """
    columns: dict[str, str] = {}
    problem, read, guessed = "", None, False
    try:
        columns, proposal = source_columns(source, settings)
        try:
            read = open_source(source, settings)
        except UserError:
            if proposal is None or settings.columns or settings.group_by or settings.format:
                raise
            settings = settings.model_copy(update={"columns": proposal.columns, "group_by": proposal.group_by})
            read, guessed = open_source(source, settings), True
        examples = list(islice(read, _FIRST))[:_EXAMPLES]
        if not examples:
            problem = "no row of it carries a sample, which is a conversation with a reply"
    except UserError as error:
        problem, examples = mask(f"{error}"), []
    return {
        "problem": problem,
        "guessed": guessed,
        "reading": {"columns": dict(settings.columns), "group_by": settings.group_by or ""},
        "columns": columns,
        "format": read.format if read else "",
        "examples": [_shortened(sample.row()) for sample in examples],
    }


@dataclass
class Count:
    """The counts of a source, or how far they are."""

    samples: int = 0
    record: dict[str, Any] | None = None
    problem: str = ""
    is_over: threading.Event = field(default_factory=threading.Event)
    """Set where nobody wants it any more."""


class _UnwantedError(Exception):
    """Another source is looked at."""


class Counting:
    """Counts one source at a time, in a thread that ends with the studio; another source ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key = ""
        self._count = Count()

    def of(self, key: str, source: str, settings: ReadingSettings) -> Count:
        """The counts of a source, or how far they are; begins them for a new `key`."""
        with self._lock:
            if key != self._key:
                self._count.is_over.set()
                self._key, self._count = key, Count()
                arguments = (self._count, source, settings)
                threading.Thread(target=_work, args=arguments, name="studio-count", daemon=True).start()
            return self._count


def _work(count: Count, source: str, settings: ReadingSettings) -> None:
    def tell(samples: int) -> None:
        count.samples = samples
        if count.is_over.is_set():
            raise _UnwantedError

    try:
        inspection = inspect_source(source, settings, tell)
    except _UnwantedError:
        return
    except UserError as error:
        count.problem = mask(f"{error}")
        return
    except Exception as error:  # the page would wait for ever
        count.problem = f"it cannot be counted: {mask(f'{error}')}"
        raise
    record = as_record(inspection)
    record["category_counts"] = dict(islice(record["category_counts"].items(), _CATEGORIES))
    del record["examples"]
    count.samples, count.record = inspection.samples, record


def _shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    turns = [{"role": turn["role"], "text": turn["text"][:_EXAMPLE_TEXT]} for turn in row["context"]]
    return {"context": turns, "response": row["response"][:_EXAMPLE_TEXT], "category": row["category"]}
