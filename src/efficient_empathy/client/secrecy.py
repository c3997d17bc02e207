"""Keeping keys out of everything that is told."""

from __future__ import annotations

import re
from collections.abc import Mapping

from efficient_empathy.errors import UserError

_LEAST = 8
_SHORT = 300
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]+")
_SECRET_HEADER = re.compile(r"key|auth|token|secret|cookie", re.I)


class Secrets:
    """The key and the headers that carry secrets, none of which must be told.

    Values under eight characters (EMPTY, none) are placeholders, not secrets: they stay.
    """

    def __init__(self, key: str | None, headers: Mapping[str, str]) -> None:
        words = {word for name, value in headers.items() if _SECRET_HEADER.search(name) for word in value.split()}
        self._values = sorted((word for word in {*words, key or ""} if len(word) >= _LEAST), key=len, reverse=True)

    def scrub(self, text: str) -> str:
        """`text` without them."""
        for value in self._values:
            if value in text:
                text = text.replace(value, "[key]")
        return text

    def tell(self, message: str) -> str:
        """A server's message, fit for one line of a log: without secrets and control characters, shortened."""
        scrubbed = _KEY_LIKE.sub("[key]", self.scrub(message))
        line = " ".join("".join(c if c.isprintable() else " " for c in scrubbed[: 4 * _SHORT]).split())
        return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def checked_key(key: str | None, key_name: str) -> str | None:
    """The key, fit for a header; None for no key. Raises `UserError` for what cannot be one."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"{key_name} holds spaces or characters that no key has: set it again")
    return key or None
