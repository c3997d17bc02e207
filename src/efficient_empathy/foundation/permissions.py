"""What files of strangers may decide: nothing that reaches out of them, unless the user allows it, in words like these.

A recipe, and what a run records, come from whoever made them. Each thing that such a file asks for and that concerns
more than itself is a `Permission`, written `key:VARIABLE@HOST`, `host:HOST`, `code`, `pickle`, `read:PATH`,
`write:PATH` or `hub:ORG/NAME`; a path may be the URL of an object, or of a folder of a store. A user gives it with
`--allow`, with `allow=` in Python, or in `$EFFICIENT_EMPATHY_ALLOW`; what the user has asked for in a command of their
own is remembered, so that their own runs can go on without being asked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, get_args
from urllib.parse import urlsplit

from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.objects.address import display_name, is_url, is_web

VARIABLE = "EFFICIENT_EMPATHY_ALLOW"
"""The environment variable with permissions, as a shell would separate them; processes that are started inherit it."""
Kind = Literal["key", "host", "code", "pickle", "read", "write", "hub"]
FORMS = ("key:VARIABLE@HOST", "host:HOST", "code", "pickle", "read:PATH", "write:PATH", "hub:ORG/NAME")
_SENTENCES: dict[str, str] = {
    "key": "send the environment variable {0} to {1}",
    "host": "send dialogues to {0}",
    "code": "run Python code that comes with a model or from a cluster",
    "pickle": "load pickled weights, which can run code",
    "read": "read {0}",
    "write": "write to {0}",
    "hub": "load {0} from the Hugging Face hub",
}
_ALONE = ("code", "pickle")
_PORTS = {"https": 443, "wss": 443}
_NO_URL = re.compile(r"[\\\s\x00-\x1f\x7f]")
_session: set[Permission] = set()
"""What this command's own arguments ask for."""


@dataclass(frozen=True)
class Permission:
    """One thing that may be done, such as `key:OPENAI_API_KEY@api.openai.com`."""

    kind: Kind
    what: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.what}" if self.what else self.kind

    @classmethod
    def parse(cls, text: str) -> Permission:
        """What a user has written. Raises `UserError` for what is none."""
        kind, colon, what = text.strip().partition(":")
        known = kind in get_args(Kind) and bool(what) == bool(colon) == (kind not in _ALONE)
        if not known or (kind == "key" and not all(what.partition("@"))):
            raise UserError(f"--allow takes {', '.join(FORMS[:-1])} or {FORMS[-1]}, not {text!r}")
        if kind in ("read", "write"):
            what = _place(what)
        return cls(kind, what)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """It in words, to follow "to"."""
        return _SENTENCES[self.kind].format(*(self.what.split("@", 1) if self.kind == "key" else [self.what]))

    def covers(self, other: Permission) -> bool:
        """Whether who gives this gives `other` too: a folder with what is in it, a file to write with its reading, a
        key for a host with what is sent there without."""
        if other.kind in ("read", "write") and self.kind in (other.kind, "write"):
            return self.what == other.what or _holds(self.what, other.what)
        if other.kind == "host" and self.kind == "key":
            return self.what.partition("@")[2] == other.what
        return self == other


def read_from(path: str | Path) -> Permission:
    """To read a file or folder, wherever links lead, or an object or folder of a store."""
    return Permission("read", _place(path))


def write_to(path: str | Path) -> Permission:
    """To write to a file or folder, wherever links lead."""
    return Permission("write", str(Path(path).expanduser().resolve()))


def _place(path: str | Path) -> str:
    """A path as permissions have it; of a URL nothing leads elsewhere."""
    return display_name(path) if is_url(path) else str(Path(path).expanduser().resolve())


def _holds(folder: str, path: str) -> bool:
    """Whether what lies at `path` lies in `folder`. Of a web server that is only itself: `..` leads out there."""
    if is_web(folder) or is_url(folder) != is_url(path):
        return False
    return PurePath(path).is_relative_to(folder)


def host_of(url: str) -> str:
    """The host of a URL, with its port where that is not https's own. Raises `UserError` for a URL that has none."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host, port = "", None
    if not host or _NO_URL.search(url.strip()):
        raise UserError(f"{url!r} is not a URL with a host: write one such as https://example.org/v1")
    name = f"[{host}]" if ":" in host else host
    usual = _PORTS.get(parts.scheme)
    port = port or usual or 80
    return name if port == usual else f"{name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host, as `host_of` gives it, is this machine itself."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    if name == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False


def require(owner: str, needs: Iterable[Permission]) -> None:
    """Raise `UserError`, with the flags to add, for what `owner` needs and nobody has allowed."""
    has = _granted()
    missing = [need for need in dict.fromkeys(needs) if not any(one.covers(need) for one in has)]
    if missing:
        texts = [need.text for need in missing]
        listed = ", ".join(texts[:-1]) + (" and " if texts[:-1] else "") + texts[-1]
        flags = " ".join(f"--allow {shell(need)}" for need in missing)
        raise UserError(f"{owner} asks to {listed}, which is for you to decide: if you want that, add {flags}")


@contextmanager
def allow(texts: Iterable[str]) -> Iterator[None]:
    """Give permissions for the block, in this process and those that it starts. Raises `UserError` for what is none."""
    given = [str(Permission.parse(text)) for text in texts]
    before = os.environ.get(VARIABLE)
    if given:
        os.environ[VARIABLE] = shlex.join([*shlex.split(before or ""), *given])
    try:
        yield
    finally:
        if given and before is None:
            os.environ.pop(VARIABLE, None)
        elif before is not None:
            os.environ[VARIABLE] = before


def note(needs: Iterable[Permission]) -> None:
    """Hold for allowed, in this process, what its own arguments ask for."""
    _session.update(needs)


def remember(needs: Iterable[Permission]) -> None:
    """Hold for allowed from now on what a user's own command has asked for: their runs will ask for it again.

    What was allowed otherwise is not remembered: a flag counts for its command.
    """
    has = _granted()
    new = [need for need in dict.fromkeys(needs) if not any(one.covers(need) for one in has)]
    note(new)
    path = _memory()
    if not new or path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{need}\n" for need in new)


def _memory() -> Path | None:
    """Where remembered permissions lie: one a line, to be read, edited or deleted by their user."""
    try:
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return Path(home) / "efficient-empathy" / "allowed"


def _granted() -> set[Permission]:
    try:
        given = shlex.split(os.environ.get(VARIABLE, ""))
    except ValueError as error:
        raise UserError(f"${VARIABLE} is not a list of permissions ({error}): write {FORMS[0]} and the like") from error
    return {*_session, *map(Permission.parse, given), *_remembered()}


def _remembered() -> Iterator[Permission]:
    path = _memory()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in path.read_text("utf-8").splitlines() if path else ():
            with contextlib.suppress(UserError):
                yield Permission.parse(line)
