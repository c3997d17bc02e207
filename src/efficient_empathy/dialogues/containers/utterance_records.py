"""The records of EmpatheticDialogues' CSV, whose quotes are text in the official files and CSV's in resaved ones."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from efficient_empathy.dialogues.containers.csv_feed import Feed, Headers
from efficient_empathy.dialogues.rows import Row

ED_COLUMNS = {"conv_id", "utterance_idx", "speaker_idx", "utterance"}
_OPTIONAL = {"selfeval", "tags"}
_MOST_LINES = 1_000
_UNCLOSED = "a quoted field begins here and is not closed: close or double the quote"


def utterance_records(feed: Feed, names: list[str], delimiter: str) -> Iterator[Row]:
    """One row a record; fields beyond the header's are counted as left out.

    A line is a record as it stands, its commas written `_comma_`, if its quotes are not CSV's; a quote that is open at
    its end is CSV's if the next line does not begin a record.
    """
    layout = _Layout(names, delimiter)
    headers = Headers(names, delimiter)
    while True:
        feed.begin()
        line = next(feed, None)
        if line is None:
            return
        if line.isspace() and not feed.fault:
            continue
        fields = layout.fields(line, feed)
        if feed.fault or len(fields) < layout.least:
            feed.intake.bad(feed.place, feed.fault or f"{len(fields)} fields where the header has {len(names)}")
        elif not headers.are_repeated(fields, feed):
            if len(fields) > len(names):
                feed.intake.repairs["stray columns left out"] += 1
            yield Row(feed.place, dict(zip(names, fields, strict=False)))


class _Layout:
    def __init__(self, names: list[str], delimiter: str) -> None:
        self._delimiter = delimiter
        self._conversation, self._index = names.index("conv_id"), names.index("utterance_idx")
        self.least = len(names)
        while self.least and names[self.least - 1] in _OPTIONAL:
            self.least -= 1

    def fields(self, line: str, feed: Feed) -> list[str]:
        """The fields of the record that begins with `line`; takes the lines that a quoted field goes on in."""
        text = line.rstrip("\r\n")
        if '"' not in text:
            return text.split(self._delimiter)
        try:
            return next(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            is_open = "unexpected end of data" in str(error)
        return (self._joined(line, feed) if is_open else None) or text.split(self._delimiter)

    def _joined(self, line: str, feed: Feed) -> list[str] | None:
        """The record of several lines; None if `line` is one alone. What is neither is the feed's fault."""
        record = [line]
        while len(record) <= _MOST_LINES:
            follower = feed.peek(len(record) - 1)
            if follower is None or self._begins_record(follower):
                break
            record.append(follower)
            fields = self._closed(record) if '"' in follower else None
            if fields:
                for _ in record[1:]:
                    next(feed)
                return fields
        if any(not follower.isspace() for follower in record[1:]):
            for _ in record[1:]:
                next(feed)
            feed.fault = feed.fault or _UNCLOSED
        return None

    def _closed(self, record: list[str]) -> list[str] | None:
        try:
            return next(csv.reader(record, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None

    def _begins_record(self, line: str) -> bool:
        text = line.rstrip("\r\n")
        return any(
            len(fields) >= self.least
            and fields[self._index].isdecimal()
            and not any(char.isspace() for char in fields[self._conversation])
            for fields in (text.split(self._delimiter), next(csv.reader([text], delimiter=self._delimiter), []))
        )
