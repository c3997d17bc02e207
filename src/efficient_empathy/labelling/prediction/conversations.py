"""What is given to be judged, as samples: a source, a frame, or conversations as Python has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import Intake, Sample, open_source
from efficient_empathy.dialogues.formats import format_names, reader_named, recognised
from efficient_empathy.dialogues.rows import Row
from efficient_empathy.foundation.errors import UserError

Conversation = Sample | Mapping[str, Any] | list[Mapping[str, Any]]
"""A sample; a row as a JSON line has it; or its messages, `[{"role": "user" | "assistant", "content": …}, …]`."""
Given = str | Path | pl.DataFrame | Iterable[Conversation]
"""A source as `inspect` reads it, a frame of samples as `ee.read` gives it, or conversations."""


def samples_of(
    given: Given,
    *,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
    intake: Intake,
) -> Iterator[Sample]:
    """The samples, one per listener turn, in order. Raises `UserError` for what cannot be read."""
    if isinstance(given, str | Path):
        yield from open_source(given, format=format, columns=columns, intake=intake)
    elif isinstance(given, pl.DataFrame):
        missing = sorted({"sample_id", "dialogue_id", "turn", "context", "response"} - set(given.columns))
        if missing:
            raise UserError(f"the frame has no column {', '.join(missing)}: pass one that ee.read gives")
        empty = dict.fromkeys(("category", "split", "source"))
        yield from (Sample.from_row(empty | row) for row in given.iter_rows(named=True))
    else:
        for number, one in enumerate(given, 1):
            if isinstance(one, Sample):
                yield one
            else:
                values = dict(one) if isinstance(one, Mapping) else {"messages": [*one]}
                yield from row_samples(values, f"conversation {number}", intake, format, columns)


def row_samples(
    values: dict[str, Any],
    place: str,
    intake: Intake,
    format: str | None = None,  # noqa: A002
    columns: Mapping[str, str] | None = None,
) -> list[Sample]:
    """The samples of one conversation that stands in one row; a row that has none goes to `intake.bad`."""
    values = {**values, **{known: values.get(name) for known, name in (columns or {}).items()}}
    reader = reader_named(format) if format else recognised([values])
    if reader is None:
        keys = ", ".join(map(str, values)) or "none"
        intake.bad(place, f"of no known format (keys: {keys[:80]}; known are {', '.join(format_names())})")
        return []
    bad = intake.bad_row_count
    samples = [*reader.samples([Row(place, values)], intake)]
    if not samples and intake.bad_row_count == bad:
        intake.bad(place, f"no listener response in this row, read as {reader.name}")
    return samples
