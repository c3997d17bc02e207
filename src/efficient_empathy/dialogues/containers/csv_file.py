"""CSV and TSV with a header as rows, streaming."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from efficient_empathy.dialogues.containers.csv_feed import Feed, Headers, read_header
from efficient_empathy.dialogues.containers.opening import MAX_LINE, lines, open_bytes
from efficient_empathy.dialogues.containers.utterance_records import ED_COLUMNS, utterance_records
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.rows import Intake, Row


def csv_rows(file: DataFile | Path, intake: Intake) -> Iterator[Row]:
    """One row a record; a record that has other than the header's number of fields is a bad row."""
    csv.field_size_limit(MAX_LINE)
    with open_bytes(file, intake) as stream:
        feed = Feed(lines(stream, str(file)), file, intake)
        names, delimiter = read_header(feed)
        records = utterance_records if set(names) >= ED_COLUMNS else _records
        yield from records(feed, names, delimiter)


def _records(feed: Feed, names: list[str], delimiter: str) -> Iterator[Row]:
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    headers = Headers(names, delimiter)
    while True:
        feed.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise feed.unclosed() from error
            feed.intake.bad(feed.place, feed.fault or f"not CSV ({error})")
            continue
        if feed.fault:
            feed.intake.bad(feed.place, feed.fault)
        elif not fields or headers.are_repeated(fields, feed):
            continue
        elif len(fields) == len(names):
            yield Row(feed.place, dict(zip(names, fields, strict=True)))
        else:
            reason = f"{len(fields)} fields where the header has {len(names)}: quote what holds a {delimiter!r}"
            feed.intake.bad(feed.place, reason)
