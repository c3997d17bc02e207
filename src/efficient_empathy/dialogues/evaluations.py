"""A judge's replies that were collected earlier, beside the samples they judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from efficient_empathy.dialogues.formats.judged import EVALUATION, Judged
from efficient_empathy.dialogues.intake import Intake
from efficient_empathy.dialogues.rows import MalformedError, Row, each, required, shown
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.source import open_source


def read_evaluations(source: str | Path, *, intake: Intake | None = None) -> Iterator[tuple[Sample, str]]:
    """Every sample of judged JSON with its reply, as it stands; a row without a reply is a bad row."""
    opened = open_source(source, format=Judged.name, intake=intake)
    reader = Judged()

    def convert(row: Row) -> Iterator[tuple[Sample, str]]:
        reply = required(row.values, EVALUATION)
        if not isinstance(reply, str):
            raise MalformedError(f"{EVALUATION!r} is {shown(reply)}, not text")
        for sample in reader.samples([row], opened.intake):
            yield sample, reply

    for rows in opened.parts():
        yield from each(rows, opened.intake, convert)
