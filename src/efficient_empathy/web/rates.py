"""How fast one client may ask, and how long one waits who shows wrong secrets; by where requests come from."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

CLIENTS = 4096
"""Clients that are remembered at most."""


def sources_of(address: str) -> tuple[str, ...]:
    """Where a client is, from near to far: its IPv4 address; of an IPv6 address the /64 and the /48 around it.

    One machine has as many IPv6 addresses as it likes within its /64, and one site as many of these within its /48.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return (address[:64],)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return tuple(str(ipaddress.ip_network((int(ip), bits), strict=False)) for bits in (64, 48))
        ip = ip.ipv4_mapped
    return (str(ip),)


def is_among(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is one of those, or in one of those networks (`10.0.0.0/8`)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)


@dataclass(slots=True)
class Rates:
    """Requests of one client: `per_second` in the long run, `burst` at once."""

    per_second: float = 100.0
    burst: float = 300.0
    _budgets: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)

    def wait(self, client: str) -> float:
        """Count a request; the seconds to wait until one is possible again, 0 where this one is."""
        budget = self._now(client)
        if budget < 1:
            return (1 - budget) / self.per_second
        self._budgets[client] = (budget - 1, time.monotonic())
        if len(self._budgets) > CLIENTS:
            left = {client: self._now(client) for client in self._budgets}
            for one in sorted(left, key=lambda one: -left[one])[: CLIENTS // 2]:  # who asked least loses least
                del self._budgets[one]
        return 0.0

    def _now(self, client: str) -> float:
        now = time.monotonic()
        budget, since = self._budgets.get(client, (self.burst, now))
        return min(self.burst, budget + (now - since) * self.per_second)


@dataclass(slots=True)
class Lockouts:
    """Who shows wrong secrets has to wait: after `free` of them `first_s`, twice as long after each further one.

    A site of IPv6 addresses has ten times as many free. What nobody did for `forget_s` is forgotten.
    """

    free: int = 5
    first_s: float = 1.0
    longest_s: float = 900.0
    forget_s: float = 3600.0
    _failures: dict[str, tuple[int, float]] = field(default_factory=dict, repr=False)
    """Of each source how many, and when the last."""

    def wait(self, address: str) -> float:
        """The seconds that a client has to wait before it may show a secret; 0 where it need not."""
        now = time.monotonic()
        return max(0.0, *(self._until(source, place) - now for place, source in enumerate(sources_of(address))))

    def count(self, address: str) -> None:
        """Count a wrong secret."""
        now = time.monotonic()
        for source in sources_of(address):
            self._failures[source] = (self._count(source) + 1, now)
        if len(self._failures) > CLIENTS:
            counts = {source: self._count(source) for source in self._failures}
            for source in sorted(counts, key=lambda source: counts[source])[: CLIENTS // 2]:
                del self._failures[source]

    def _count(self, source: str) -> int:
        count, last = self._failures.get(source, (0, 0.0))
        return count if time.monotonic() - last < self.forget_s else 0

    def _until(self, source: str, place: int) -> float:
        count, last = self._count(source), self._failures.get(source, (0, 0.0))[1]
        too_many = count - self.free * 10**place
        return last + min(self.longest_s, self.first_s * 2.0 ** min(too_many, 60)) if too_many >= 0 else 0.0
