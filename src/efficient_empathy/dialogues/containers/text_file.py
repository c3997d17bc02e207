"""Plain text that is dialogue line by line: a chat's messages with their times, or dialogues with marked turns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from efficient_empathy.dialogues.containers.encodings import undecodable
from efficient_empathy.dialogues.containers.opening import TOO_LONG, lines, open_bytes
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.rows import Intake, Row

LINE = "line"
"""The one column of such rows."""
END_OF_TURN = "__eou__"
"""Stands after each turn of DailyDialog's text, a dialogue a line."""
_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\ufeff]")
_STAMP = (
    r"(\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}\.?),?(?: (?:at|um|à|klo|kl\.|às|a las))? ?"
    r"([^\d\s,\[\]]{1,10} ?)?(\d{1,2}[:.]\d{2}(?:[:.]\d{2})?)( ?[^\d\[\]:–-]{1,10}?)?"
)
"""Date, morning or afternoon, time, morning or afternoon."""
_CHAT_LINES = [re.compile(rf"\[{_STAMP}\] (.*)", re.DOTALL), re.compile(rf"{_STAMP} [-–] (.*)", re.DOTALL)]


def chat_line(line: str) -> tuple[str, str, str, str] | None:
    """Date, time, what says morning or afternoon, and the rest of a line that begins a message of a chat's export."""
    whole = _MARKS.sub("", line[:2]) + line[2:]
    stamp = whole[:80].replace("\u202f", " ").replace("\u00a0", " ")
    match = next((match for pattern in _CHAT_LINES if (match := pattern.match(stamp))), None)
    if match is None:
        return None
    date, before, time, after, _ = match.groups(default="")
    return date, time, before + after, whole[match.start(5) :]


def is_dialogue_text(head: bytes) -> bool:
    """Whether a file begins as a chat's export or as dialogues with marks between turns."""
    first = [line for line in head.decode(errors="replace").splitlines() if line.strip()][:3]
    marked = bool(first) and END_OF_TURN in first[0] and not first[0].lstrip("\ufeff ").startswith(("{", "[", '"'))
    return marked or any(chat_line(line) is not None for line in first)


def text_rows(file: DataFile | Path, intake: Intake) -> Iterator[Row]:
    """One row a line, blank ones too: they may be part of a message."""
    name = str(file)
    with open_bytes(file, intake) as stream:
        for number, line in lines(stream, name):
            place = f"{name}:{number}"
            if line is None:
                intake.bad(place, f"a line {TOO_LONG}")
                continue
            try:
                yield Row(place, {LINE: line.decode().rstrip("\r\n")})
            except UnicodeDecodeError:
                intake.bad(place, undecodable(line, intake.settings.encoding))
