"""A hard limit on what is spent: money is set aside before a request goes out, and settled when it is answered."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import BudgetExhausted

Journal = Callable[[float], None]
"""Is told what is spent and set aside together, in US dollars."""

_UNITS = 10**12
"""Money is counted in whole units of 1e-12 dollars, rounded up, so that no sum of floats drifts over the limit."""
_MOST_USD = 1e18
"""More counts as this."""

_AHEAD = 64
"""A journal is told the price of so many requests ahead: a word that no power cut takes costs it milliseconds."""


class Budget:
    """What may be spent (`max_usd`, None for no limit) and what has been (`spent_usd`, from earlier runs at first).

    Spent and set aside together never exceed `max_usd`, as long as nothing is billed above what was set aside for it.
    If a server does bill more, `spent_usd` tells the truth and nothing further is set aside.

    `journal`, which may be set later, is told before a request goes out that more than its last word may be spent from
    now on, some way ahead so that it need not write for each request; it is told where more is billed than was set
    aside, and by `close` what was spent in the end. So after a kill its last word covers what was under way: what it
    says too much is the price of a few requests, and of what is left of the limit an eighth at most.
    """

    def __init__(
        self,
        max_usd: float | None = None,
        spent_usd: float = 0.0,
        journal: Journal | None = None,
    ) -> None:
        for value in (max_usd, spent_usd):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UserError(f"a budget is a number of US dollars, 0 or more, not {value}")
        self.max_usd = max_usd
        self.journal = journal
        self._max_units = None if max_usd is None else _units_within(max_usd)
        self._spent_units = _units(spent_usd)
        self._reserved_units = 0
        self._told_units = 0
        """What `journal` was told last; 0 before the first word and after `close`."""
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def spent_usd(self) -> float:
        """US dollars spent, earlier runs included."""
        return self._spent_units / _UNITS

    @property
    def reserved_usd(self) -> float:
        """US dollars set aside for requests under way."""
        return self._reserved_units / _UNITS

    @property
    def committed_usd(self) -> float:
        """Spent and set aside together."""
        return (self._spent_units + self._reserved_units) / _UNITS

    def covers(self, usd: float) -> bool:
        """Whether the limit allows `usd` more."""
        return self._max_units is None or self._spent_units + self._reserved_units + _units(usd) <= self._max_units

    def reserve(self, usd: float, journal: Journal | None = None) -> bool:
        """Set `usd` aside if the limit allows it. What `journal` raises is raised, with nothing set aside.

        Where a `journal` is named, that one is told of it, to the dollar.
        """
        units = _units(usd)
        if not self.covers(usd):
            return False
        self._reserved_units += units
        try:
            self._tell(units) if journal is None else self._word(journal)
        except BaseException:
            self._reserved_units -= units
            raise
        return True

    def extend(self, usd: float) -> None:
        """Raise the limit by `usd`."""
        if self._max_units is not None:
            self._max_units += _units_within(usd)

    def give_up_rest(self) -> float:
        """Lower the limit to what is spent and set aside; returns by how many US dollars that is."""
        committed = self._spent_units + self._reserved_units
        if self._max_units is None or self._max_units <= committed:
            return 0.0
        rest, self._max_units = self._max_units - committed, committed
        return rest / _UNITS

    def take_back(self, usd: float) -> None:
        """Of what earlier runs had spent, `usd` is but set aside: its bill is still to come."""
        self._spent_units -= _units(usd)
        self._reserved_units += _units(usd)

    def _word(self, journal: Journal) -> None:
        journal(self.committed_usd)
        self._told_units = self._spent_units + self._reserved_units

    def _tell(self, units: int) -> None:
        """Tell `journal` what is committed, and room for requests of so many units, unless it was told as much."""
        committed = self._spent_units + self._reserved_units
        if not units or self.journal is None or committed <= self._told_units:
            return
        ahead = self._ahead(units, None if self._max_units is None else max(0, self._max_units - committed))
        self.journal((committed + ahead) / _UNITS)
        self._told_units = committed + ahead

    def _ahead(self, units: int, rest: int | None) -> int:
        """How much a word to the journal covers beyond a request of so many units, of what is left of the limit."""
        return _AHEAD * units if rest is None else min(_AHEAD * units, rest // 8)

    def settle(self, reserved: float, actual: float, journal: Journal | None = None) -> None:
        """Turn what was set aside into what was spent; `journal` as in `reserve`."""
        self._reserved_units -= _units(reserved)
        self._spent_units += _units(actual)
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
        if journal is not None:
            self._word(journal)
        elif actual > reserved:
            self._tell(_units(actual))

    def close(self) -> None:
        """Tell `journal` what was spent in the end, if it was told anything since the last `close`.

        What is still set aside, for requests that nobody waits for, counts as spent.
        """
        if self._told_units and self.journal is not None:
            self.journal(self.committed_usd)
            self._told_units = 0

    async def hold(self, usd: float) -> None:
        """Set `usd` aside, waiting for requests under way to settle for less than was set aside for them.

        Raises `BudgetExhausted` once even that could not make room.
        """
        while not self.reserve(usd):
            if self._max_units is None or self._spent_units + _units(usd) > self._max_units:
                raise BudgetExhausted(
                    f"the budget of ${self.max_usd:.6g} is used up: ${self.spent_usd:.6f} spent, "
                    f"and the next request could cost up to ${usd:.6f}"
                )
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn


def _units(usd: float) -> int:
    return math.ceil(min(usd, _MOST_USD) * _UNITS)


def _units_within(usd: float) -> int:
    usd = min(usd, _MOST_USD)
    units = round(usd * _UNITS)
    return units if units / _UNITS <= usd else units - 1
