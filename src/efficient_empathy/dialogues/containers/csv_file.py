"""CSV and TSV with a header as rows, streaming."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from efficient_empathy.dialogues.containers.opening import HOLDS_NUL, MAX_LINE, NOT_UTF8, TOO_LONG, lines, open_bytes
from efficient_empathy.dialogues.rows import Intake, Row, show_value
from efficient_empathy.foundation.errors import UserError

DELIMITERS = ",\t;|"
ONE_LINE_HEADER = {"conv_id", "utterance_idx", "speaker_idx", "utterance"}
"""EmpatheticDialogues' columns: its commas are written `_comma_`, no record spans lines, quotes may be bare."""
OPTIONAL_COLUMNS = {"selfeval", "tags"}


def csv_rows(path: Path, intake: Intake) -> Iterator[Row]:
    """One row a record; a record that has other than the header's number of fields is a bad row."""
    csv.field_size_limit(MAX_LINE)
    with open_bytes(path) as stream:
        feed = _Feed(lines(stream), path)
        header = next((line for line in feed if not line.isspace() or feed.fault), "")
        names, delimiter = _header(header, feed)
        if set(names) >= ONE_LINE_HEADER:
            yield from _one_line_records(feed, names, delimiter, intake)
        else:
            yield from _records(feed, names, delimiter, intake)


def delimiter_of(header: str) -> str | None:
    """The delimiter that a header line uses most, if it uses any."""
    delimiter = max(DELIMITERS, key=header.count)
    return delimiter if delimiter in header else None


class _Feed:
    """Lines as text for the `csv` module; remembers the first fault since `begin`."""

    def __init__(self, numbered: Iterator[tuple[int, bytes | None]], path: Path) -> None:
        self._numbered = numbered
        self.path = path
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """A record begins with the next line."""
        self.first = self.number + 1
        self.fault: str | None = None
        self._size = 0

    @property
    def place(self) -> str:
        return f"{self.path}:{self.first}"

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._numbered)
        if line is None:
            self.fault = self.fault or f"a line {TOO_LONG}"
            return "\n"
        self._size += len(line)
        if self._size > MAX_LINE:
            raise self.unclosed()
        if b"\0" in line:
            self.fault = self.fault or HOLDS_NUL
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.fault = self.fault or NOT_UTF8
            return line.decode(errors="replace")

    def unclosed(self) -> UserError:
        return UserError(f"{self.place}: a quoted field begins here and is not closed: close or double the quote")


def _header(line: str, feed: _Feed) -> tuple[list[str], str]:
    place = f"{feed.path}:{feed.number}"
    if feed.fault:
        raise UserError(f"{place}: {feed.fault}")
    delimiter = delimiter_of(line) or ","
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise UserError(f"{place}: the header is not CSV ({error})") from error
    names = [name.strip() for name in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise UserError(f"{place}: the header names {show_value(twice)} twice: rename one of the columns")
    return names, delimiter


def _records(feed: _Feed, names: list[str], delimiter: str, intake: Intake) -> Iterator[Row]:
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise feed.unclosed() from error
            intake.bad(feed.place, feed.fault or f"not CSV ({error})")
            continue
        if feed.fault:
            intake.bad(feed.place, feed.fault)
        elif len(fields) == len(names):
            yield Row(feed.place, dict(zip(names, fields, strict=True)))
        elif fields:
            intake.bad(
                feed.place, f"{len(fields)} fields where the header has {len(names)}: quote what holds a {delimiter!r}"
            )


def _one_line_records(feed: _Feed, names: list[str], delimiter: str, intake: Intake) -> Iterator[Row]:
    least = len(names)
    while least and names[least - 1] in OPTIONAL_COLUMNS:
        least -= 1
    while True:
        feed.begin()
        line = next(feed, None)
        if line is None:
            return
        if line.isspace() and not feed.fault:
            continue
        fields = _one_line(line.rstrip("\r\n"), delimiter)
        if feed.fault or len(fields) < least:
            intake.bad(feed.place, feed.fault or f"{len(fields)} fields where the header has {len(names)}")
            continue
        if len(fields) > len(names):
            intake.repairs["stray columns left out"] += 1
        yield Row(feed.place, dict(zip(names, fields, strict=False)))


def _one_line(line: str, delimiter: str) -> list[str]:
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            pass
    return line.split(delimiter)
