"""Keeping keys out of everything that leaves the client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from yarl import URL

from efficient_empathy.foundation.errors import HIDDEN, PUBLIC_PARAMETERS, UserError, redact

_LEAST = 8
_LEAST_WORD = 3
_SHORT = 300
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]+")
_SECRET_HEADER = re.compile(r"key|auth|token|secret|cookie", re.I)
_PLACEHOLDERS = frozenset({"empty", "none", "null", "test", "dummy", "local"})


class Secrets:
    """The key, the headers that carry secrets, and other `credentials` (of a proxy, or in a URL), none of which leaves.

    In a reply, values under eight characters stay, since a short one may be a word or a number of the reply's own; in
    a message they go too where they stand alone, unless they are placeholders (EMPTY, none).
    """

    def __init__(self, key: str | None, headers: Mapping[str, str], credentials: Iterable[str] = ()) -> None:
        words = {word for name, value in headers.items() if _SECRET_HEADER.search(name) for word in value.split()}
        own = {key or "", *credentials}
        self._values = sorted((word for word in words | own if len(word) >= _LEAST), key=len, reverse=True)
        short = (re.escape(word) for word in own if _LEAST_WORD <= len(word) < _LEAST and not _is_placeholder(word))
        alone = "|".join(sorted(short, key=len, reverse=True))
        self._alone = re.compile(rf"(?<!\w)(?:{alone})(?!\w)") if alone else None

    def scrub(self, text: str) -> str:
        """`text` without them."""
        for value in self._values:
            if value in text:
                text = text.replace(value, HIDDEN)
        return text

    def tell(self, message: str) -> str:
        """A message for one line of a log: without secrets and control characters, shortened."""
        scrubbed = _KEY_LIKE.sub(HIDDEN, redact(self.scrub(message)))
        if self._alone is not None:
            scrubbed = self._alone.sub(HIDDEN, scrubbed)
        line = " ".join("".join(c if c.isprintable() else " " for c in scrubbed[: 4 * _SHORT]).split())
        return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def query_secrets(url: URL) -> tuple[str, ...]:
    """The values in a URL's query that may be keys, as they are sent and as they read."""
    secret = [(name, value) for name, value in url.query.items() if name.lower() not in PUBLIC_PARAMETERS]
    read = {value or name for name, value in secret}
    sent = {value for part in url.raw_query_string.split("&") for value in [part.rpartition("=")[2]]}
    encoded = {value for value in sent if URL.build(query_string=f"x={value}", encoded=True).query.get("x") in read}
    return tuple(read | encoded)


def checked_key(key: str | None, key_name: str) -> str | None:
    """The key, fit for a header; None for no key. Raises `UserError` for what cannot be one."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"{key_name} holds spaces or characters that no key has: set it again")
    return key or None


def _is_placeholder(word: str) -> bool:
    return word.lower() in _PLACEHOLDERS
