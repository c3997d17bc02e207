"""When to stop asking: an error that concerns all calls, or nothing but silence."""

from __future__ import annotations

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import EndpointDown
from efficient_empathy.llm.faults import Fault

_LEAST = 10


class Breaker:
    """Remembers what concerns all calls.

    It trips when as many calls in a row as may be under way at once, but at least ten, are given up without a success
    between them; and at the first call given up for want of a connection while the server has never answered anything.
    """

    def __init__(self, url: str, concurrency: int) -> None:
        self._url = url
        self._limit = max(_LEAST, concurrency)
        self._given_up = 0
        self._heard = False
        self._error: UserError | None = None

    def check(self) -> None:
        """Raise what concerns all calls, if anything does."""
        if self._error is not None:
            raise type(self._error)(*self._error.args)

    def heard(self) -> None:
        """The server sent a response, whatever it was."""
        self._heard = True

    def success(self) -> None:
        """A call was answered."""
        self._given_up = 0

    def trip(self, error: UserError) -> None:
        """Something concerns all calls, whatever became of this one."""
        self._error = self._error or error

    def gave_up(self, fault: Fault) -> None:
        """A call has used up its attempts, the last of them for `fault`."""
        if fault.fatal is not None:
            self._error = self._error or fault.fatal
        elif fault.unanswered:
            self._given_up += 1
            if self._given_up >= self._limit or (fault.refused and not self._heard):
                calls = "1 call" if self._given_up == 1 else f"{self._given_up} calls in a row"
                remedy = "check the base URL, or start the server, and run the command again"
                if fault.kind == "rate_limited":
                    remedy = "lower the concurrency, or run the command again later"
                self._error = EndpointDown(f"{self._url} does not answer, {calls} failed ({fault.reason}): {remedy}")
