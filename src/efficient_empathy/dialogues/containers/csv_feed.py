"""Lines of a CSV file as the `csv` module takes them, and its header."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from efficient_empathy.dialogues.containers.delimiters import delimiter_of, directive
from efficient_empathy.dialogues.containers.encodings import MARK, undecodable
from efficient_empathy.dialogues.containers.opening import HOLDS_NUL, MAX_LINE, TOO_LONG, without_mark
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.rows import Intake, show_value
from efficient_empathy.foundation.errors import UserError

REPEATED_HEADERS = "repeated header lines left out"
MOST_COLUMNS = 10_000
MOST_LINES = 1_000_000
"""Of one record: a quote that is not closed takes in all lines that follow."""
_LOOKED_AT = 20
_LOOKED_AT_BYTES = 2**20


class Feed:
    """Lines as text, with those that follow in sight.

    Since `begin` it remembers the first fault, and whether a byte-order mark was there, as joined files have it inside.
    """

    def __init__(self, numbered: Iterator[tuple[int, bytes | None]], file: DataFile | Path, intake: Intake) -> None:
        self._numbered = numbered
        self._name = str(file)
        self._ahead: deque[tuple[int, bytes | None]] = deque()
        self.intake = intake
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """A record begins with the next line."""
        self.first = self.number + 1
        self.fault: str | None = None
        self.is_marked = False
        self._size = 0

    @property
    def place(self) -> str:
        """Where the record begins."""
        return f"{self._name}:{self.first}"

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> str:
        self.number, line = self._ahead.popleft() if self._ahead else next(self._numbered)
        if line is None:
            self.fault = self.fault or f"a line {TOO_LONG}"
            return "\n"
        self._size += len(line)
        if self._size > MAX_LINE or self.number - self.first > MOST_LINES:
            raise self.unclosed()
        if self.number == self.first and line.startswith(MARK):
            self.is_marked = True
            line = without_mark(line, self.intake)
        if b"\0" in line:
            self.fault = self.fault or HOLDS_NUL
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.fault = self.fault or undecodable(line, self.intake.settings.encoding)
            return line.decode(errors="replace")

    def peek(self, ahead: int) -> str | None:
        """The line that is `ahead` lines after the next one, None after the last."""
        while len(self._ahead) <= ahead:
            numbered = next(self._numbered, None)
            if numbered is None:
                return None
            self._ahead.append(numbered)
        return (self._ahead[ahead][1] or b"").decode(errors="replace")

    def unclosed(self) -> UserError:
        """The error of a quote that is not closed."""
        return UserError(f"{self.place}: a quoted field begins here and is not closed: close or double the quote")


def read_header(feed: Feed) -> tuple[list[str], str]:
    """The columns' names and the delimiter; consumes what stands before the first record."""
    named = feed.intake.settings.delimiter
    while (line := feed.peek(0)) is not None:
        declared = directive(line.removeprefix("\ufeff"))
        if declared is None and not line.isspace():
            break
        named = named or declared
        next(feed)
    feed.begin()
    if line is not None and line.count(",") + line.count("\t") + line.count(";") > MOST_COLUMNS:
        raise UserError(f"{feed.place}: the header has over {MOST_COLUMNS:,} columns: is it one?")
    if named and line is not None and named not in line:
        raise UserError(
            f"{feed.place}: the header {show_value(line.strip())} has no {show_value(named)}: pass --delimiter "
            "with what separates its columns"
        )
    delimiter = named or delimiter_of(_first_lines(feed)) or ","
    try:
        names = next(csv.reader(feed, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise UserError(f"{feed.place}: {feed.fault or f'the header is not CSV ({error})'}") from error
    if feed.fault:
        raise UserError(f"{feed.place}: {feed.fault}")
    names = column_names(names)
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise UserError(f"{feed.place}: the header names {show_value(twice)} twice: rename one of the columns")
    return names, delimiter


def column_names(fields: list[str]) -> list[str]:
    """Columns' names without the blanks around them, and on one line."""
    return [" ".join(name.split()) if "\n" in name else name.strip() for name in fields]


def _first_lines(feed: Feed) -> list[str]:
    found: list[str] = []
    while len(found) <= _LOOKED_AT and sum(map(len, found)) < _LOOKED_AT_BYTES:
        line = feed.peek(len(found))
        if line is None:
            break
        found.append(line)
    return found


class Headers:
    """Tells the headers of further files, joined to the first one, from its records."""

    def __init__(self, names: list[str], delimiter: str) -> None:
        self._names = names
        self._first = {*names, "sep=", f"sep={delimiter}"} - {""}

    def are_repeated(self, fields: list[str], feed: Feed) -> bool:
        """Whether a record is the header again, which is counted. Raises `UserError` for one of other columns."""
        if not feed.is_marked and fields[0] not in self._first:
            return False
        names = column_names(fields)
        is_directive = names[0].startswith("sep=") and not any(names[1:])
        if names == self._names or is_directive:
            feed.intake.repairs[REPEATED_HEADERS] += 1
            return True
        if feed.is_marked or sorted(names) == sorted(self._names):
            raise UserError(
                f"{feed.place}: another file begins here, whose header is not the first one's: split them, and pass "
                "the folder"
            )
        return False
