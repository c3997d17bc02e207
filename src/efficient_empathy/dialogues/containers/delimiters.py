"""Which character separates the fields of a CSV file: told by Excel's `sep=` line, or by how its first records fit."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

DELIMITERS = ",\t;|"
_DIRECTIVE = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def directive(line: str) -> str | None:
    """The delimiter that a first line such as `sep=;` declares."""
    match = _DIRECTIVE.match(line)
    return match[1] if match else None


def delimiter_of(lines: Sequence[str]) -> str | None:
    """The delimiter of the header `lines[0]`, None if it has none.

    Where several could be meant it is the one by which most of the records fit the header, and then the one that the
    header uses most; a comma inside quotes separates nothing.
    """
    header = lines[0]
    for line in lines[1:]:
        if header.count('"') % 2 == 0:
            break
        header += line
    header = _QUOTED.sub("", header)
    candidates = [mark for mark in DELIMITERS if mark in header]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    return max(candidates, key=lambda mark: (_fit(lines, mark), header.count(mark)))


def _fit(lines: Sequence[str], delimiter: str) -> float:
    """The share of records that have as many fields as the header."""
    try:
        records = [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
    except csv.Error:
        return 0.0
    return sum(size == records[0] for size in records[1:]) / max(1, len(records) - 1)
