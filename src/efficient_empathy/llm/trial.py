"""One request at a time, until a server has shown that it bills what was expected."""

from __future__ import annotations

import asyncio


class Trial:
    """A gate that lets one request through at a time while it is `needed`, and all of them once one has `passed`."""

    def __init__(self, needed: bool) -> None:
        self._needed = needed
        self._turn = asyncio.Lock()

    async def enter(self) -> bool:
        """Wait for a turn if turns are taken; whether this request is alone, for `leave`."""
        if not self._needed:
            return False
        await self._turn.acquire()
        if self._needed:
            return True
        self._turn.release()
        return False

    def leave(self, alone: bool) -> None:
        """The request is over; `alone` is what `enter` said."""
        if alone:
            self._turn.release()

    def passed(self) -> None:
        """A bill has stayed within its bound."""
        self._needed = False
