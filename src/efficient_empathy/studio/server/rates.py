"""How fast one client may ask: a token bucket a client."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field

CLIENTS = 4096
"""Clients that are remembered, those seen last."""


@dataclass(slots=True)
class Rates:
    """Requests of one client: `per_second` in the long run, `burst` at once."""

    per_second: float = 100.0
    burst: float = 300.0
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, repr=False)

    def wait(self, client: str) -> float:
        """Count a request; the seconds to wait until one is possible again, 0 where this one is."""
        left = self._now(client)
        if left < 1:
            return (1 - left) / self.per_second
        self.charge(client, 1)
        return 0.0

    def charge(self, client: str, requests: float) -> None:
        """Count something that costs as much as so many requests, even where the client has fewer left."""
        self._left[client] = (max(-self.burst, self._now(client) - requests), time.monotonic())
        self._left.move_to_end(client)
        if len(self._left) > CLIENTS:
            self._left.popitem(last=False)

    def _now(self, client: str) -> float:
        now = time.monotonic()
        left, since = self._left.get(client, (self.burst, now))
        return min(self.burst, left + (now - since) * self.per_second)
