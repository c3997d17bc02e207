"""The proxy on the way to a server, if the environment names one."""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from efficient_empathy.foundation.errors import UserError


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL without user and password, and the header that carries them to it."""

    url: URL
    variable: str
    """The environment variable that names it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Its password in every form that a message could repeat."""


def is_this_machine(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_proxy(url: URL) -> Proxy | None:
    """The proxy that the environment names for `url`, None for this machine. Raises `UserError` where it is none."""
    host = url.host or ""
    address = (
        None
        if is_this_machine(host) or urllib.request.proxy_bypass(host)
        else urllib.request.getproxies().get(url.scheme)
    )
    return _proxy(address, f"{url.scheme.upper()}_PROXY") if address else None


def _proxy(address: str, variable: str) -> Proxy:
    try:
        url = URL(address if "://" in address else f"http://{address}")
        valid = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"{variable} is not of the form http://HOST:PORT: name an HTTP proxy there, or unset it")
    place = url.with_user(None).with_path("/").with_query(None).with_fragment(None)
    if url.user is None and url.password is None:
        return Proxy(place, variable)
    login = f"{url.user or ''}:{url.password or ''}"
    encoded = base64.b64encode(login.encode()).decode()
    raw = (url.raw_password, url.password, encoded, *(() if url.password else (url.raw_user, url.user)))
    return Proxy(place, variable, {"Proxy-Authorization": f"Basic {encoded}"}, tuple(one for one in raw if one))
