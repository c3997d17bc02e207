"""JSON lines, JSON arrays and JSON objects as rows. Lines and arrays stream."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from efficient_empathy.dialogues.containers.encodings import MARK, undecodable
from efficient_empathy.dialogues.containers.opening import (
    HOLDS_NUL,
    MAX_LINE,
    TOO_LONG,
    lines,
    open_bytes,
    without_mark,
)
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.rows import SPLITS, Intake, Row, show_value
from efficient_empathy.dialogues.turns.chat import message_keys
from efficient_empathy.dialogues.turns.roles import TABLE
from efficient_empathy.foundation.errors import UserError

IsRow = Callable[[dict[str, Any]], bool]
MAX_MESSAGES = 10_000
"""The longest array that is one conversation; the longest conversation that is read is shorter."""
_MESSAGE_KEYS = {"role", "content", "from", "value", "name", "tool_calls", "tool_call_id", "function_call", "refusal"}
_MESSAGE_KEYS |= {"weight", "train", "training", "timestamp", "created_at"}
MAX_OBJECT = 2**28
"""The longest file, in characters, that is one JSON object: it does not stream."""
MAX_VALUES = 4_000_000
"""The most objects, lists and members of one line or row: an empty object takes 30 times its text in memory."""
MAX_OBJECT_VALUES = 5 * MAX_VALUES
"""Those of a file that is one JSON object."""

_decoder = json.JSONDecoder(strict=False)
_BLANK = re.compile(r"[ \t\r\n]*")
_UNDECODED = re.compile("[\udc80-\udcff]")


def line_rows(file: DataFile | Path, intake: Intake) -> Iterator[Row]:
    """One JSON object a line; blank lines are none."""
    name = str(file)
    with open_bytes(file, intake) as stream:
        for number, line in lines(stream, name):
            if line is not None and line.isspace():
                continue
            place = f"{name}:{number}"
            if line is not None and line.startswith(MARK):
                line = without_mark(line, intake)
                if not line.strip():
                    continue
            value, fault = line_value(line, intake.settings.encoding)
            if isinstance(value, dict):
                yield Row(place, value)
            else:
                intake.bad(place, fault or f"{show_value(value)} is not a JSON object")


def line_value(line: bytes | None, encoding: str | None = None) -> tuple[Any, str | None]:
    """The JSON value of a line, or why it has none; `encoding` is the one that was named for the file."""
    if line is None:
        return None, f"a line {TOO_LONG}"
    if b"\0" in line:
        return None, HOLDS_NUL
    if has_more(MAX_VALUES, line):
        return None, f"more than {MAX_VALUES:,} values in one line"
    try:
        return _decoder.decode(line.decode()), None
    except UnicodeDecodeError:
        return None, undecodable(line, encoding)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and line.lstrip().startswith(b"{"):
            return None, f"more than one JSON value (another begins at column {error.colno}): write one a line"
        return None, f"not JSON ({error.msg} at column {error.colno})"
    except (ValueError, RecursionError) as error:
        return None, f"not usable JSON ({error})"


def has_more(values: int, text: bytes | str) -> bool:
    """Whether JSON may have more than so many values, by the marks in it; those inside of strings count as well."""
    if len(text) <= values:
        return False
    marks: tuple[Any, ...] = (b",", b"{", b"[") if isinstance(text, bytes) else (",", "{", "[")
    return sum(text.count(mark) for mark in marks) > values


def array_rows(file: DataFile | Path, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    """The objects of a JSON array; messages that are no rows of their own are one row, a conversation."""
    rows = _array_rows(file, intake)
    first = next(rows, None)
    if first is None:
        return
    if not _is_message_alone(first.values) or is_row(first.values):
        yield from chain([first], rows)
        return
    messages = [row.values for row in islice(chain([first], rows), MAX_MESSAGES + 1)]
    if len(messages) > MAX_MESSAGES:
        raise UserError(
            f"{file}: over {MAX_MESSAGES:,} messages without a column that says which conversation each belongs to: "
            "add one, and pass --group-by NAME"
        )
    yield Row(first.place, {"messages": messages})


def _array_rows(file: DataFile | Path, intake: Intake) -> Iterator[Row]:
    name = str(file)
    with open_bytes(file, intake) as stream:
        scanner = _Scanner(stream, name, MAX_LINE, intake.settings.encoding)
        scanner.expect("[")
        number = 0
        while scanner.next_character() != "]":
            if number:
                scanner.expect(",")
            number += 1
            value, fault = scanner.value(number)
            yield from _object_row(value, fault, f"{name}:row {number}", intake)
        scanner.expect("]")
        if scanner.next_character():
            raise UserError(f"{name}: text after the end of the JSON array: remove it, or write one object a line")


def object_rows(file: DataFile | Path, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    """JSON objects one after the other; one alone is a row, or else holds lists of rows, perhaps by split."""
    name = str(file)
    with open_bytes(file, intake) as stream:
        scanner = _Scanner(stream, name, MAX_OBJECT, intake.settings.encoding)
        first, fault = scanner.value(1)
        if not scanner.next_character():
            if isinstance(first, dict) and not fault and not is_row(first) and not _holds_messages(first, is_row):
                yield from _nested_rows(first, name, intake, is_row)
            else:
                yield from _object_row(first, fault, f"{name}:row 1", intake)
            return
        yield from _object_row(first, fault, f"{name}:row 1", intake)
        number = 1
        while scanner.next_character():
            number += 1
            value, fault = scanner.value(number)
            yield from _object_row(value, fault, f"{name}:row {number}", intake)


def _nested_rows(whole: dict[str, Any], name: str, intake: Intake, is_row: IsRow) -> Iterator[Row]:
    """The rows of an object's lists; of an object of rows by name, as MultiWOZ is, those with the name as their id."""
    lists = {
        key: value
        for key, value in whole.items()
        if isinstance(value, list) and any(isinstance(v, dict) for v in value)
    }
    if not lists:
        named = [(key, value) for key, value in whole.items() if isinstance(value, dict) and is_row(value)]
        if not named or len(named) < len(whole):
            yield Row(f"{name}:row 1", whole)
            return
        for key, value in named:
            yield Row(f"{name}:{show_value(key)}", {"dialogue_id": key, **value})
    for key, values in lists.items():
        for number, value in enumerate(values, 1):
            for row in _object_row(value, None, f"{name}:{show_value(key)} row {number}", intake):
                yield Row(row.place, row.values, split=SPLITS.get(key.lower()))


def _is_message_alone(values: dict[str, Any]) -> bool:
    """Whether an object is a chat message and nothing more, so that only its place says what it belongs to."""
    keys = message_keys([values])
    return keys is not None and values.keys() <= _MESSAGE_KEYS and str(values[keys[0]]).strip().lower() in TABLE


def _holds_messages(whole: dict[str, Any], is_row: IsRow) -> bool:
    """Whether an object is one conversation, at a name that is not known: its list holds messages, not rows."""
    lists = [value for value in whole.values() if isinstance(value, list) and message_keys(value)]
    return bool(lists) and not any(is_row(value[0]) for value in lists)


def _object_row(value: Any, fault: str | None, place: str, intake: Intake) -> Iterator[Row]:
    if fault or not isinstance(value, dict):
        intake.bad(place, fault or f"{show_value(value)} is not a JSON object")
    else:
        yield Row(place, value)


class _Scanner:
    """Reads one JSON value after the other from a stream, holding no more than the value at hand."""

    def __init__(self, stream: BinaryIO, name: str, limit: int, encoding: str | None) -> None:
        self._stream = stream
        self._name = name
        self._limit = limit
        self._encoding = encoding
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text = ""
        self._at = 0
        self._offset = 0
        self._at_end = False

    def next_character(self) -> str:
        """The next character that is not blank, not consumed; empty at the file's end."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or self._at_end:
                return self._text[self._at : self._at + 1]
            self._more(2**16)

    def expect(self, character: str) -> None:
        """Consume one character."""
        actual = self.next_character()
        if actual != character:
            what = f"{show_value(actual)} stands" if actual else "the file ends"
            raise UserError(
                f"{self._name}: broken JSON: {what} at character {self._position:,} where {character!r} should"
            )
        self._at += 1

    def value(self, number: int) -> tuple[Any, str | None]:
        """The next value, and its fault if it has one that does not spoil what follows."""
        self.next_character()
        while True:
            if has_more(most := MAX_VALUES if self._limit == MAX_LINE else MAX_OBJECT_VALUES, self._text):
                raise self._syntax_error(number, f"more than {most:,} values; write one object a line")
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or self._at_end:
                    break
            except json.JSONDecodeError as error:
                if self._at_end:
                    raise self._syntax_error(
                        number, f"{error.msg} at character {self._offset + error.pos + 1:,}"
                    ) from error
            except (ValueError, RecursionError) as error:
                raise self._syntax_error(number, str(error)) from error
            if len(self._text) - self._at > self._limit:
                raise self._syntax_error(number, f"no end within {self._limit // 2**20} MB; write one object a line")
            self._more(max(2**16, len(self._text) - self._at))
        fault = None
        if _UNDECODED.search(self._text, self._at, end):
            fault = undecodable(self._text[self._at : end].encode(errors="surrogateescape"), self._encoding)
        self._at = end
        return value, fault

    @property
    def _position(self) -> int:
        return self._offset + self._at + 1

    def _syntax_error(self, number: int, reason: str) -> UserError:
        return UserError(
            f"{self._name}: broken JSON in row {number}, which begins at character {self._position:,}: {reason}"
        )

    def _more(self, size: int) -> None:
        chunk = self._stream.read(size)
        self._at_end = not chunk
        self._text = self._text[self._at :] + self._decode(chunk, final=not chunk)
        self._offset += self._at
        self._at = 0
