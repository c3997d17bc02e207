"""What may reach a terminal: text in which no escape sequence, no control character and no known secret is left.

Texts of dialogues, names of files and words of servers come from strangers, and a terminal obeys some of them: it sets
the clipboard, hides a line, makes a link. They are shown as they are written in source code, `\\x1b`, instead.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

from efficient_empathy.foundation.errors import mask, redact

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""The control characters of ASCII and Latin-1 but for tab and ends of lines, what turns the direction of the text
round, what ends a line without being seen, and bytes of a file's name that are no UTF-8."""


def visible(text: str) -> str:
    """`text` with `\\x1b` and the like in place of what a terminal would obey."""
    return _UNSAFE.sub(lambda match: _escape(ord(match[0])), text)


def json_text(value: Any) -> str:
    """A value as JSON on one line, letters of all languages as they are, and nothing in it that a terminal obeys."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class PlainStream:
    """A stream for whoever prints past `Console`: tracebacks, warnings, logs, usage errors, libraries.

    With `redacts`, URLs lose what could be a secret too, which a result must keep.
    """

    def __init__(self, raw: TextIO, *, redacts: bool) -> None:
        self.raw = raw
        self._redacts = redacts

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def write(self, text: str) -> int:
        """Write `text` as it may be seen."""
        self.raw.write(visible(redact(text) if self._redacts else mask(text)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)


def guard_streams() -> None:
    """Let all that this process prints go through a `PlainStream`, and let no letter that a stream lacks end it."""
    for name, redacts in (("stdout", False), ("stderr", True)):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PlainStream):
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, cast(TextIO, PlainStream(stream, redacts=redacts)))
