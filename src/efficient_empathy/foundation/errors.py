"""The one exception that a user is meant to read, and how faults of disks and libraries become one.

Whatever is shown or recorded is redacted first: a URL can hide a user, a password or a key in its query.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


class UserError(Exception):
    """Something that the user can put right: the message is one clear sentence that names the place and the remedy.

    The command line prints it without a traceback and exits with 1. A URL in it loses its user, its password and the
    values in its query.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


def missing_extra(command: str, extra: str) -> UserError:
    """The error of a command whose optional dependencies are not installed."""
    return UserError(f'{command} needs the extra "{extra}": pip install "efficient-empathy[{extra}]"')


@contextmanager
def error_context(action: str, remedy: str = "") -> Iterator[None]:
    """Turn what the system, polars or SQLite raises in the block into a `UserError`.

    The message says what could not be done (`action`, to follow "cannot "), why, and what to do about it.
    """
    try:
        yield
    except _faults() as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = text.splitlines()[0]
        raise UserError(f"cannot {action} ({reason})" + (f": {remedy}" if remedy else "")) from error


def _faults() -> tuple[type[BaseException], ...]:
    """What disks and libraries raise; a library that is not imported yet has raised nothing."""
    faults: list[type[BaseException]] = [OSError]
    if polars := sys.modules.get("polars.exceptions"):
        faults += [polars.PolarsError, polars.PanicException]
    if sqlite3 := sys.modules.get("sqlite3"):
        faults.append(sqlite3.Error)
    return tuple(faults)
