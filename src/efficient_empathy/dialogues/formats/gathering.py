"""Rows of one conversation brought together, wherever in the file they stand, within a bound on memory."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, label_of, show_value

MAX_CHARACTERS = 8 * 2**20
MAX_ROWS = 20_000
"""What is held of conversations that may go on; the one longest without a row is closed first."""
_MERGED_AT = 2**16


@dataclass(slots=True)
class Gathered:
    """The rows of one conversation, in the file's order, no more than `MAX_ROWS`; `number` counts conversations."""

    number: int
    rows: list[Row] = field(default_factory=list)
    row_count: int = 0
    size: int = 0

    @property
    def place(self) -> str:
        """Where it begins."""
        return self.rows[0].place

    def add(self, row: Row, size: int) -> None:
        """Take a row in, as long as it may belong to a conversation."""
        self.row_count += 1
        if len(self.rows) < MAX_ROWS and self.size < MAX_CHARACTERS:
            self.rows.append(row)
            self.size += size


def gather(
    rows: Iterable[Row], intake: Intake, column: str, size_of: Callable[[dict[str, Any]], int]
) -> Iterator[Gathered]:
    """The rows by the value of `column`, in the order of their first ones as far as the bounds allow.

    A row without a value is bad, and so is one whose conversation was closed to keep within the bounds.
    """
    open_ones: OrderedDict[str, Gathered] = OrderedDict()
    closed = _Closed()
    count = row_count = size = 0

    def key_of(row: Row) -> Iterator[tuple[str, Row]]:
        key = label_of(row.values, [column])
        if key is None:
            raise MalformedError(f"{column!r}, which names the conversation, is {_absence(row.values, column)}")
        if key not in open_ones and closed.has(key):
            raise MalformedError(
                f"the conversation {show_value(key)} goes on here, too far from its other rows to be held in memory: "
                f"sort the file by {column}"
            )
        yield key, row

    for key, row in each(rows, intake, key_of):
        group = open_ones.get(key)
        if group is None:
            group = open_ones[key] = Gathered(count)
            count += 1
        open_ones.move_to_end(key)
        rows_before, size_before = len(group.rows), group.size
        group.add(row, size_of(row.values))
        row_count, size = row_count + len(group.rows) - rows_before, size + group.size - size_before
        while len(open_ones) > 1 and (row_count > MAX_ROWS or size > MAX_CHARACTERS):
            oldest, group = open_ones.popitem(last=False)
            closed.add(oldest)
            row_count, size = row_count - len(group.rows), size - group.size
            yield group
    yield from sorted(open_ones.values(), key=lambda group: group.number)


def check_whole(group: Gathered, column: str) -> None:
    """Malformed if a conversation has more rows than were held."""
    if group.row_count > len(group.rows):
        raise MalformedError(
            f"a conversation of {group.row_count:,} rows: is {column!r} the column that names the conversation?"
        )


def _absence(values: dict[str, Any], column: str) -> str:
    return "empty" if column in values else "missing"


class _Closed:
    """Keys in 8 bytes each: sorted ones, and the latest few."""

    def __init__(self) -> None:
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._latest: set[int] = set()

    def add(self, key: str) -> None:
        self._latest.add(_hash(key))
        if len(self._latest) >= _MERGED_AT:
            latest = np.asarray(array("Q", self._latest))
            self._sorted = np.sort(np.concatenate([self._sorted, latest]))
            self._latest.clear()

    def has(self, key: str) -> bool:
        value = _hash(key)
        at = int(np.searchsorted(self._sorted, np.uint64(value)))
        return value in self._latest or (at < len(self._sorted) and int(self._sorted[at]) == value)


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
