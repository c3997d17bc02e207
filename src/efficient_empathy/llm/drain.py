"""How to stop without breaking off: requests under way go on to their end, waits end at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from efficient_empathy.llm.call import Call
from efficient_empathy.llm.errors import Draining


class Drain:
    """Whether the endpoint drains, and the waits that then end."""

    def __init__(self) -> None:
        self._begun = False
        self._waits: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        """From now on nothing is sent; all waits end. To be called in the event loop."""
        if not self._begun:
            self._begun = True
            for wait in self._waits:
                wait.reschedule(asyncio.get_running_loop().time())

    def check(self, call: Call) -> None:
        """Raise `Draining` if it has begun."""
        if self._begun:
            raise Draining(call.attempts, call.cost_usd)

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
