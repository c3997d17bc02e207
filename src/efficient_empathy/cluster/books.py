"""What all workers of one judge share: the money, how far they have come, and when to stop.

One actor, on the machine of the command. It is asked once for some dozen requests, never for each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.ledger.journal import FOLDER
from efficient_empathy.scoring.ledger.spending import close_spending

_DUST = 1e-9
"""US dollars that rounding may leave in somebody's hands."""
AHEAD = 64
"""A worker is given the price of so many requests at once, while there is enough."""


@dataclass(frozen=True)
class Account:
    """What a worker has of the budget, in US dollars since it began."""

    spent: float = 0.0
    returned: float = 0.0
    """Of what it was given."""


@dataclass(frozen=True)
class Report:
    """What a worker tells of itself: counts since its last report, and how it stands now."""

    states: Mapping[str, int]
    requests: int
    cost_usd: float
    account: Account
    in_flight: int = 0
    limit: int = 0
    """Of its window."""
    notices: Sequence[str] = ()


@dataclass
class Tally:
    """What the command is told: counts since it last asked, and how the workers stand now."""

    states: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    cost_usd: float = 0.0
    notices: list[str] = field(default_factory=list)
    in_flight: int = 0
    limit: int = 0
    workers: int = 0
    """Those that have been heard of."""
    error: str | None = None
    """What concerns all calls."""
    is_out_of_money: bool = False


@dataclass(frozen=True)
class Turn:
    """Whether a worker may begin a unit, how often it was begun before, and whether it was finished."""

    deaths: int
    stop: bool
    is_done: bool


class Books:
    """Hands out money ahead of requests, so that all workers together never spend more than `max_usd`.

    Before it does, the ledger notes what is spent and handed out: a kill hides nothing. What a worker that died had
    in hand counts as spent as far as its `SpendingFile` says so.
    """

    def __init__(self, ledger: Path, workers: int, max_usd: float | None = None, spent_usd: float = 0.0) -> None:
        self._path, self._workers, self._max, self._base = ledger, workers, max_usd, spent_usd
        self._ledger: Ledger | None = None
        self._granted: dict[str, float] = {}
        self._accounts: dict[str, Account] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._holders: dict[int, str] = {}
        self._attempts: Counter[int] = Counter()
        self._done: set[int] = set()
        self._known: set[str] = set()
        self._tally = Tally()
        self._stop = False

    async def begin(self, unit: int, worker: str) -> Turn:
        """A worker is about to begin a unit; the one that had begun it before is no more."""
        before = self._holders.get(unit)
        if before not in (None, worker):
            self._bury(str(before))
        self._holders[unit] = worker
        return Turn(self._attempts[unit], self._stop, unit in self._done)

    async def start(self, unit: int) -> None:
        """The worker that has begun a unit judges from now on."""
        self._attempts[unit] += 1

    async def finish(self, unit: int) -> None:
        """All that a unit came to is kept."""
        self._done.add(unit)
        self._holders.pop(unit, None)

    async def report(self, worker: str, report: Report) -> bool:
        """Take a worker's report; whether it is to stop."""
        self._accounts[worker] = report.account
        self._seen[worker] = report.in_flight, report.limit
        tally = self._tally
        tally.states.update(report.states)
        tally.requests += report.requests
        tally.cost_usd += report.cost_usd
        tally.notices += [one for one in report.notices if one not in self._known]
        self._known.update(report.notices)
        return self._stop

    async def lease(self, worker: str, need: float, account: Account) -> float | None:
        """US dollars for a request of at most `need` and some more; 0 where the limit does not allow it.

        None where it may yet, once requests under way have cost less than was set aside for them.
        """
        self._accounts[worker] = account
        left = math.inf if self._max is None else self._max - self._committed()
        if left >= need:
            grant = min(AHEAD * need, max(need, left / (2 * self._workers)))
            self._journal(self._committed() + grant)
            self._granted[worker] = self._granted.get(worker, 0.0) + grant
            return grant
        spent = self.spent()
        waits = self._committed() - spent > _DUST and (self._max is None or spent + need <= self._max)
        return None if waits else 0.0

    async def fail(self, error: str) -> None:
        """Something concerns all calls: everybody is to stop."""
        self._tally.error = self._tally.error or error
        self._stop = True

    async def end_budget(self) -> None:
        """A worker found the budget used up."""
        self._tally.is_out_of_money = True
        self._stop = True

    async def stop(self) -> None:
        """Everybody is to let the calls in flight finish, and begin nothing more."""
        self._stop = True

    async def tally(self) -> Tally:
        """What the workers have told since this was last asked."""
        tally = self._tally
        tally.in_flight = sum(in_flight for in_flight, _ in self._seen.values())
        tally.limit = sum(limit for _, limit in self._seen.values())
        tally.workers = len(self._seen)
        self._tally = Tally(error=tally.error, is_out_of_money=tally.is_out_of_money)
        return tally

    async def close(self) -> float:
        """Write down what was spent in the end; returns how much of it by these workers."""
        if self._ledger is not None:
            self._ledger.commit_usd(self._committed())
            self._ledger.__exit__()
            self._ledger = None
        return self._committed() - self._base

    def spent(self) -> float:
        """US dollars that are gone for certain, earlier calls included."""
        return self._base + sum(account.spent for account in self._accounts.values())

    def _committed(self) -> float:
        """Spent, and in workers' hands."""
        return self._base + sum(map(self._in_hand, self._accounts))

    def _in_hand(self, worker: str) -> float:
        account = self._accounts[worker]
        return max(self._granted.get(worker, 0.0) - account.returned, account.spent)

    def _bury(self, worker: str) -> None:
        if worker in self._accounts:
            account, most = self._accounts[worker], close_spending(self._path.parent / FOLDER / worker)
            spent = max(account.spent, most if math.isfinite(most) else self._in_hand(worker))
            self._granted.pop(worker, None)
            self._accounts[worker] = Account(spent)
        self._seen.pop(worker, None)

    def _journal(self, usd: float) -> None:
        if self._ledger is None:
            self._ledger = Ledger(self._path)
        self._ledger.commit_usd(usd, self._base)
