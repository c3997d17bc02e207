"""Which names and addresses are the studio's own: the Host and Origin of a request are held against them."""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d*)?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is reached from this machine alone."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


class Addresses:
    """What a studio that is bound to `host` may be called.

    On loopback, the names of loopback: a page of someone else's can point a name of theirs at us (DNS rebinding), but
    not these. Elsewhere also `host`, the machine's name with any domain, and every bare address.
    """

    def __init__(self, host: str) -> None:
        self._local = is_loopback(host)
        self._machine = socket.gethostname().lower()
        self._names = _LOOPBACK if self._local else _LOOPBACK | {host.lower(), self._machine}

    def include(self, host: str) -> bool:
        """Whether a Host header names the studio, at whatever port (it may be forwarded)."""
        found = _HOST.fullmatch(host.lower())
        if not found:
            return False
        name = found["name"]
        address = _address(name.removeprefix("[").removesuffix("]"))
        if name in self._names or (address is not None and address.is_loopback):
            return True
        return not self._local and (address is not None or name.startswith(f"{self._machine}."))


def is_own_page(headers: Headers, method: str) -> bool:
    """Whether a request comes from a page of the studio, from no page at all, or from a link that someone followed."""
    origin = headers.get("origin")
    if origin is not None:
        host = headers.get("host", "").lower()
        return origin.lower() in (f"http://{host}", f"https://{host}")
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and method == "GET"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
