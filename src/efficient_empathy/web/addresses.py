"""What a server may be called, and from where a browser may ask it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

from starlette.datastructures import Headers

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d*)?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is reached from this machine alone."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


class Addresses:
    """What a server that is bound to `host` may be called.

    On loopback, the names of loopback: a page of someone else's can point a name of theirs at us (DNS rebinding), but
    not these. Elsewhere also `host`, the machine's name with any domain, and every bare address. `allowed` are names
    that a proxy asks by, each with its port or at any.
    """

    def __init__(self, host: str, allowed: Sequence[str] = ()) -> None:
        self._local = is_loopback(host)
        self._machine = socket.gethostname().lower()
        self._names = _LOOPBACK if self._local else _LOOPBACK | {host.lower(), self._machine}
        self._allowed = frozenset(name.lower() for name in allowed)

    def include(self, host: str) -> bool:
        """Whether a Host header names the server, at whatever port (it may be forwarded)."""
        match = _HOST.fullmatch(host.lower())
        if not match:
            return False
        name = match["name"]
        if {name, host.lower()} & self._allowed:
            return True
        address = _address(name.removeprefix("[").removesuffix("]"))
        if name in self._names or (address is not None and address.is_loopback):
            return True
        return not self._local and (address is not None or name.startswith(f"{self._machine}."))


def is_own_page(headers: Headers, method: str, allowed: Sequence[str] = ()) -> bool:
    """Whether a request comes from a page of the server, from no page at all, or from a link that someone followed.

    `allowed` are the names of the server behind a proxy, which may pass on requests under another Host.
    """
    origin = headers.get("origin")
    if origin is not None:
        names = (headers.get("host", "").lower(), *(name.lower() for name in allowed))
        return origin.lower() in (f"{scheme}://{name}" for name in names for scheme in ("http", "https"))
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and method == "GET"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
