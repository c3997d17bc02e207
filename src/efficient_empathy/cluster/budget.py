"""A worker's share of a budget that all workers have together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from efficient_empathy.cluster.books import Account
from efficient_empathy.llm.budget import Budget, Journal
from efficient_empathy.llm.errors import BudgetExhausted

Lease = Callable[[float, Account], Awaitable[float | None]]
"""See `Books.lease`."""
WAIT_S = 0.1
AHEAD = 15
"""A worker's own file is told the price of so many requests ahead, of what it was given."""


class LeasedBudget(Budget):
    """A budget that begins with nothing, and is given more whenever a request needs it."""

    def __init__(self, max_usd: float | None, lease: Lease, journal: Journal | None = None) -> None:
        super().__init__(0.0, journal=journal)
        self.max_usd = max_usd
        """Of all workers."""
        self._lease = lease
        self._returned = 0.0
        self._turn = asyncio.Lock()

    @property
    def account(self) -> Account:
        """What came of what it was given."""
        return Account(self.spent_usd, self._returned)

    def _ahead(self, units: int, rest: int | None) -> int:
        return min(AHEAD * units, rest or 0)

    def give_back(self) -> None:
        """Leave to others what is not set aside here; the next `account` tells how much that is."""
        self._returned += self.give_up_rest()

    async def hold(self, usd: float) -> None:
        """See `Budget.hold`."""
        while not self.reserve(usd):
            # shielded: what is given to a call that is broken off here is still this worker's
            if not await asyncio.shield(self._refill(usd)):
                await asyncio.sleep(WAIT_S)

    async def _refill(self, usd: float) -> bool:
        async with self._turn:
            if self.covers(usd):
                return True
            self.give_back()
            grant = await self._lease(usd, self.account)
            if grant == 0:
                raise BudgetExhausted(
                    f"the budget of ${self.max_usd:.6g} is used up: the next request could cost up to ${usd:.6f}"
                )
            self.extend(grant or 0.0)
            return grant is not None
