"""When a request may go out: how many at a time, how long after a failure, and when none may any more.

A window halves on overload and grows back (AIMD); a failed call waits exponentially longer; a breaker ends what no call
would get past; a drain lets what is under way go on and ends all waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.call import Call
from efficient_empathy.llm.errors import Draining, EndpointDown, Fault, QuotaExhausted

BASE_S = 0.5
CAP_S = 20.0
RATE_LIMITED_CAP_S = 60.0
LOADING_CAP_S = 10.0
RETRY_AFTER_CAP_S = 120.0
_MOST_HINTS = 8
_LEAST_FAILURES = 10
_ROW = 3
"""So many refusals in a row are no accident of one text."""


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


def backoff(attempt: int, retry_after_s: float | None, rng: random.Random, *, cap_s: float = CAP_S) -> float:
    """Seconds to wait after the `attempt`-th failure: exponential with full jitter, from 0.5 s, at most `cap_s`.

    Where the server says when to come back, it is at least that (at most 120 s) and half a second's jitter at most, so
    that calls refused together do not come back together; and at most eight times that, where it is half a second or
    more: an unlucky call does not wait for minutes on a server that answers every other one within a second.
    """
    if retry_after_s is not None and retry_after_s >= BASE_S:
        cap_s = min(cap_s, _MOST_HINTS * retry_after_s)
    wait_s = rng.uniform(0.0, min(cap_s, BASE_S * 2.0 ** min(attempt - 1, 32)))
    if retry_after_s is None:
        return wait_s
    return max(wait_s, min(retry_after_s, RETRY_AFTER_CAP_S) + rng.uniform(0.0, BASE_S))


class Breaker:
    """Remembers what concerns all calls.

    It trips when as many calls in a row as may be under way at once, but at least ten, are given up without an answer
    between them, for whatever reason but that a request is too long; at the first call given up for want of a
    connection while the server has never answered anything; and at the first fault that concerns all calls.
    """

    def __init__(self, url: str, concurrency: int) -> None:
        self._url = url
        self._limit = max(_LEAST_FAILURES, concurrency)
        self._given_up = 0
        self._has_answered = self._has_succeeded = False
        self._error: UserError | None = None

    def check(self) -> None:
        """Raise what concerns all calls, if anything does."""
        if self._error is not None:
            raise type(self._error)(*self._error.args)

    def note_response(self) -> None:
        """The server sent a response, whatever it was."""
        self._has_answered = True

    def success(self) -> None:
        """A call was answered."""
        self._given_up = 0
        self._has_succeeded = True

    def trip(self, error: UserError) -> None:
        """Something concerns all calls, whatever became of this one."""
        self._error = self._error or error

    def doubts(self, fault: Fault) -> bool:
        """Whether it is worth a request to find out if `fault` concerns all calls or the one alone."""
        if self._error is not None:
            return False
        return not self._has_succeeded or self._given_up >= _ROW - 1 or isinstance(fault.fatal, QuotaExhausted)

    def gave_up(self, fault: Fault) -> None:
        """A call has used up its attempts, the last of them for `fault`."""
        if fault.fatal is not None and not (fault.only_at_first and self._has_succeeded):
            self.trip(fault.fatal)
            return
        if fault.kind == "too_long" or fault.is_filtered:
            return  # it is about the one request
        self._given_up += 1
        if self._given_up >= self._limit or (fault.refused and not self._has_answered):
            self.trip(EndpointDown(self._words(fault)))

    def _words(self, fault: Fault) -> str:
        calls = "1 call" if self._given_up == 1 else f"{self._given_up} calls in a row"
        if not fault.unanswered:
            remedy = "change what is asked for (the model, the extra body, --reply text), or the base URL"
            remedy = "check that the base URL is that of a model's server" if fault.kind == "bad_body" else remedy
            return f"{self._url} answers no call, {calls} failed ({fault.reason}): {remedy}, and run the command again"
        remedy = "check the base URL, or start the server, and run the command again"
        if fault.kind == "rate_limited":
            remedy = "lower the concurrency, or run the command again later"
        return f"{self._url} does not answer, {calls} failed ({fault.reason}): {remedy}"


class Drain:
    """Whether the endpoint drains, and the waits that then end."""

    def __init__(self) -> None:
        self._draining = False
        self._waits: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """From now on nothing is sent; all waits end. To be called in the event loop."""
        if not self._draining:
            self._draining = True
            for wait in self._waits:
                wait.reschedule(asyncio.get_running_loop().time())

    def check(self, call: Call) -> None:
        """Raise `Draining` if it has begun."""
        if self._draining:
            raise Draining(call.attempts, call.cost_usd, call.fault)

    @asynccontextmanager
    async def wait(self, call: Call) -> AsyncIterator[None]:
        """A block that waits: cancelled and turned into `Draining` when draining begins.

        One that ends in the same instant may go on, so `check` comes before what must not happen.
        """
        self.check(call)
        try:
            async with asyncio.timeout(None) as wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            self.check(call)
            raise
