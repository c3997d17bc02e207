"""Keeping what a URL may hide (a user, a password, a key in its query) out of all that is shown or recorded."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "[key]"
PUBLIC_PARAMETERS = frozenset({"api-version", "api_version", "version", "revision", "download"})
"""Parameters of a query that say how to answer, not who asks."""
_URL = re.compile(r"((?:[a-z][a-z0-9+.-]*:)?//)([^\s\"'<>]*)", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<=[?&;])([\w.~%-]+)=[^\s\"'<>&;#]+")


def redact(text: str) -> str:
    """`text` whose URLs have no user and no password, and `[key]` for every value in a query that could be a secret."""
    return _PARAMETER.sub(_parameter, _URL.sub(_url, text))


def redact_all(value: Any) -> Any:
    """A JSON value, every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_all(one) for key, one in value.items()}
    return [redact_all(one) for one in value] if isinstance(value, list | tuple) else value


def endpoint_name(url: str) -> str:
    """What an endpoint is called in records and messages: its base URL without user, password, query and fragment."""
    scheme, slashes, rest = re.split(r"[?#]", url.strip(), maxsplit=1)[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def _url(match: re.Match[str]) -> str:
    place, mark, query = match[2].partition("?")
    host, slash, path = place.partition("/")
    parts = (part if "=" in part or len(part) < 8 else HIDDEN for part in query.split("&"))
    return f"{match[1]}{host.rpartition('@')[2]}{slash}{path}{mark}{'&'.join(parts)}"


def _parameter(match: re.Match[str]) -> str:
    return match[0] if match[1].lower() in PUBLIC_PARAMETERS else f"{match[1]}={HIDDEN}"
