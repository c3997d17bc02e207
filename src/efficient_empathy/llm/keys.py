"""Keys and other secrets: fit for a header, hidden wherever this process writes, kept off open networks."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping

from yarl import URL

from efficient_empathy.foundation.errors import HIDDEN, PUBLIC_PARAMETERS, Mask, UserError, endpoint_name, mask, redact
from efficient_empathy.llm.proxy import is_this_machine

_LEAST = 8
_LEAST_WORD = 3
_SHORT = 300
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]+")
_SECRET_HEADER = re.compile(r"key|auth|token|secret|cookie", re.I)
_PLACEHOLDERS = frozenset(
    {"empty", "none", "null", "test", "dummy", "local", "lm-studio", "not-needed", "no-key-required", "placeholder"}
    | {"bearer", "basic", "token"}
)


class Secrets:
    """What no server may bring into a reply, a record or a message.

    The key, the `headers` that carry secrets and other `credentials` (of a proxy, or in a URL) say who asks: they are
    hidden wherever this process writes. `values` are those of further headers, hidden in replies and messages. A value
    under eight characters stays in a reply, since it may be a word or a number of the reply's own, and goes from a
    message where it stands alone. Placeholders (EMPTY, none) are no secrets.
    """

    def __init__(
        self,
        key: str | None,
        headers: Mapping[str, str],
        credentials: Iterable[str] = (),
        values: Iterable[str] = (),
    ) -> None:
        words = {word for name, value in headers.items() if _SECRET_HEADER.search(name) for word in value.split()}
        own = {key or "", *credentials, *map(_password, words)}
        others = {word for value in values for word in (value, *value.split())}
        mask.add(_long(own | words))
        self._mask = Mask(_long(own | words | others))
        short = (word for word in own | others if _LEAST_WORD <= len(word) < _LEAST and not _is_placeholder(word))
        alone = "|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        self._alone = re.compile(rf"(?<!\w)(?:{alone})(?!\w)") if alone else None

    def scrub(self, text: str) -> str:
        """`text` without them."""
        return self._mask(text)

    def scrub_so_far(self, text: str) -> str:
        """The beginning of a text that goes on, without them and without what may become one."""
        scrubbed = self.scrub(text)
        return scrubbed[: len(scrubbed) - self._mask.open_end(scrubbed)]

    def tell(self, message: str) -> str:
        """A message for one line of a log: without secrets and control characters, shortened."""
        scrubbed = _KEY_LIKE.sub(HIDDEN, redact(self.scrub(message)))
        if self._alone is not None:
            scrubbed = self._alone.sub(HIDDEN, scrubbed)
        line = " ".join("".join(c if c.isprintable() else " " for c in scrubbed[: 4 * _SHORT]).split())
        return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def _long(words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if len(word) >= _LEAST and not _is_placeholder(word))


def _password(word: str) -> str:
    """The password that Basic authentication has encoded in `word`; empty where there is none."""
    try:
        return base64.b64decode(word, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def query_secrets(url: URL) -> tuple[str, ...]:
    """The values in a URL's query that may be keys, as they are sent and as they read."""
    secret = [(name, value) for name, value in url.query.items() if name.lower() not in PUBLIC_PARAMETERS]
    plain = {value or name for name, value in secret}
    raw = {value for part in url.raw_query_string.split("&") for value in [part.rpartition("=")[2]]}
    encoded = {value for value in raw if URL.build(query_string=f"x={value}", encoded=True).query.get("x") in plain}
    return tuple(plain | encoded)


def check_key(key: str | None, key_name: str) -> str | None:
    """The key, fit for a header; None for no key. Raises `UserError` for what cannot be one."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"{key_name} holds spaces or characters that no key has: set it again")
    return key or None


def _is_placeholder(word: str) -> bool:
    return word.lower() in _PLACEHOLDERS


def warn_of_plain_text(url: URL, secrets: Iterable[str]) -> str:
    """What to say before any of `secrets` goes through a network where others can read it; empty where none does."""
    sent = any(secret and not _is_placeholder(secret) for secret in secrets)
    if url.scheme == "https" or is_this_machine(url.host or "") or not sent:
        return ""
    name = endpoint_name(str(url))
    return f"Warning: the key goes to {name} unencrypted, readable for everybody on the way: use https:// if it can."
