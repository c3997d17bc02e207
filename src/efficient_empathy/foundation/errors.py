"""The one exception that a user is meant to read, and how faults of disks and libraries become one.

Whatever is shown or recorded is redacted first: a URL can hide a user, a password or a key in its query, and a key that
this process sends can come back in anybody's words.
"""

from __future__ import annotations

import base64
import errno
import html
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[key]"
PUBLIC_PARAMETERS = frozenset({"api-version", "api_version", "version", "revision", "deployment", "model", "download"})
"""Parameters of a query that say how to answer, not who asks."""
_URL = re.compile(r"//([^\s\"'<>]*)")
"""What follows a URL's scheme: to look for the scheme, too, takes minutes in a word of 100,000 letters."""
_PARAMETER = re.compile(r"(?<=[?&;])([\w.~%-]+)=[^\s\"'<>&;#]+")


def shell(word: object) -> str:
    """A name as a shell takes it: commands in messages are there to be pasted."""
    return shlex.quote(str(word))


def secret_forms(secret: str) -> set[str]:
    """A secret as others repeat it: as it is, backwards, escaped for URLs, JSON or HTML, in base64 or hexadecimal."""
    content = secret.encode()
    escaped = {quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], html.escape(secret)}
    lower = {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in escaped}
    encoded = {content.hex(), content.hex().upper()}
    for before in range(3):  # in base64, the bytes before it move its letters
        letters = base64.b64encode(bytes(before) + content).decode()
        letters = letters[-(-8 * before // 6) : 8 * (before + len(content)) // 6]
        encoded |= {letters, letters.replace("+", "-").replace("/", "_")}
    return {secret, secret[::-1], *escaped, *lower, *encoded}


class Mask:
    """Puts `[key]` in place of secrets, in every form of them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these too."""
        forms = {*self._forms, *(form for secret in secrets for form in secret_forms(secret))}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` without them."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def open_end(self, text: str) -> int:
        """How many characters at the end of a text that goes on may be the beginning of a secret."""
        longest = 0
        for form in self._forms:
            sizes = range(min(len(form) - 1, len(text)), longest, -1)
            longest = next((size for size in sizes if text.endswith(form[:size])), longest)
        return longest


mask = Mask()
"""Hides the keys that this process sends, wherever it writes: in errors, records, on consoles."""


def redact(text: str) -> str:
    """`text` without known secrets; URLs have no user, no password, and no value in a query that could be a secret."""
    return _PARAMETER.sub(_parameter, _URL.sub(_url, mask(text)))


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
    place, mark, query = match[1].partition("?")
    host, slash, path = place.partition("/")
    parts = (part if "=" in part or len(part) < 8 else HIDDEN for part in query.split("&"))
    return f"//{host.rpartition('@')[2]}{slash}{path}{mark}{'&'.join(parts)}"


def _parameter(match: re.Match[str]) -> str:
    return match[0] if match[1].lower() in PUBLIC_PARAMETERS else f"{match[1]}={HIDDEN}"


class UserError(Exception):
    """Something that the user can put right: the message is one clear sentence that names the place and the remedy.

    The command line prints it without a traceback and exits with 1. A URL in it loses its user, its password and the
    values in its query.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class Misplaced(UserError):  # noqa: N818 (it says where the file is)
    """What is being written to was moved, deleted or replaced meanwhile: nobody would find what goes there."""


def misplaced(path: Path) -> Misplaced:
    """The error of whoever finds that `path` is no longer the file that it opened."""
    return Misplaced(
        f"{path} was moved, deleted or replaced while it was in use: nothing more is sent; put it back where it was, "
        "then run the same command again"
    )


def missing_extra(command: str, extra: str) -> UserError:
    """The error of a command whose optional dependencies are not installed."""
    return UserError(f'{command} needs the extra "{extra}": pip install "efficient-empathy[{extra}]"')


def require_utf8(name: str) -> str:
    """A file's or folder's `name`; raises `UserError` where it has bytes that are no UTF-8, as records keep none."""
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise UserError(f"{name} has bytes that are no UTF-8: rename the file or folder")
    return name


@contextmanager
def error_context(action: str, remedy: str = "", file: Path | None = None) -> Iterator[None]:
    """Turn what the system, polars or SQLite raises in the block into a `UserError`.

    The message says what could not be done (`action`, to follow "cannot "), why, and what to do about it. Whether the
    disk of `file` is full is looked at, as not every library says so.
    """
    try:
        yield
    except _faults() as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = text.splitlines()[0]
        if disk_is_full(error) or (file is not None and _is_full(file)):
            reason = "its disk is full"
        raise UserError(f"cannot {action} ({reason})" + (f": {remedy}" if remedy else "")) from error


@contextmanager
def write_context(path: Path) -> Iterator[None]:
    """Turn what the system raises in the block into a `UserError` that says why `path` cannot be written.

    That its disk is full is said in one way, whatever the library that writes calls it.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if disk_is_full(error) or _is_full(path):
            raise UserError(f"cannot write {path}: {FULL}") from error
        if isinstance(error, OSError):
            raise UserError(f"cannot write {path}: {error.strerror or error}") from error
        raise


FULL = "its disk is full; make room, then run the same command again"
_FULL = re.compile(r"no space left on device|disk is full|disk quota exceeded", re.IGNORECASE)
_LEAST = 1 << 16
"""A disk with fewer bytes free is full: not every library says so."""


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, says that a disk is full."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LEAST
    except OSError:
        return False


def _faults() -> tuple[type[BaseException], ...]:
    """What disks and libraries raise; a library that is not imported yet has raised nothing."""
    faults: list[type[BaseException]] = [OSError]
    if polars := sys.modules.get("polars.exceptions"):
        faults += [polars.PolarsError, polars.PanicException]
    if sqlite3 := sys.modules.get("sqlite3"):
        faults.append(sqlite3.Error)
    return tuple(faults)
