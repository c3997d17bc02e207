"""How many requests may be under way: a window that halves on overload and grows back (AIMD)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable


class Window:
    """Slots for requests: at most `limit` are given out at a time, and `limit` follows what the server bears.

    It starts at the maximum. A success adds 1/limit (one slot per window of successes); an overload halves it, at most
    once per round: signs from requests that were sent before the last cut, or less than `hold_s` seconds after it, tell
    nothing new. So a burst of 64 refusals halves it once.
    """

    def __init__(self, limit: int, *, hold_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1:
            raise ValueError(f"a window has at least one slot, not {limit}")
        self.maximum = limit
        self.limit = float(limit)
        """The ceiling in force, between 1 and `maximum`. Requests already under way when it falls are let finish."""
        self.in_flight = 0
        self._hold_s = hold_s
        self._clock = clock
        self._held_until = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self, *, ahead: bool = False) -> None:
        """Take a slot, first come first served, or `ahead` of all who wait. Cancelling it leaves no slot taken."""
        if self.in_flight + 1 <= self.limit and not self._waiting:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        if ahead:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.release()  # the slot had been handed over in the same instant
            raise

    def release(self) -> None:
        """Give a slot back."""
        self.in_flight -= 1
        self._admit()

    def success(self) -> None:
        """A request was answered: a little more is borne."""
        if self.limit < self.maximum:
            self.limit = min(self.maximum, self.limit + 1 / self.limit)
            self._admit()

    def overload(self, sent_at: float | None = None) -> None:
        """The server cannot keep up, as seen by a request sent at `sent_at` on the window's clock (default: now)."""
        now = self._clock()
        if (now if sent_at is None else sent_at) >= self._held_until:
            self.limit = max(1.0, self.limit / 2)
            self._held_until = now + self._hold_s

    def _admit(self) -> None:
        while self._waiting and self.in_flight + 1 <= self.limit:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.in_flight += 1
                turn.set_result(None)
