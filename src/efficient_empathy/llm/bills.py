"""Whether a request was billed, and whether a server's bills can be trusted to stay below what was set aside."""

from __future__ import annotations

from efficient_empathy.llm.budget import Budget
from efficient_empathy.llm.errors import Fault, Overbilled
from efficient_empathy.llm.pacing import Window
from efficient_empathy.llm.prices import FREE, Prices
from efficient_empathy.llm.wire import Reply, Usage

_UNBILLED = frozenset(
    {
        *range(300, 400),  # another place is named
        *range(400, 408), *range(409, 418), 421, 422, 423, 425, 426, 428, 429, 431, 451,  # the request is refused
        501, 503, 505, 511, 529,  # the server does not take it up
    }
)  # fmt: skip
"""The statuses with which a server says that no model was run. With any other one may have been: by a gateway that gave
up waiting (408, 502, 504, 520 to 527 …), or until something broke (424, 500)."""


def may_be_billed(status: int, *, is_own: bool, is_read: bool) -> bool:
    """Whether a response of this status, which holds no reply, may have been billed all the same.

    `is_own`: the API says so itself, and no page or text of a gateway. `is_read`: the request was read before it was
    found to be too long or not allowed, for which Azure charges.
    """
    return status not in _UNBILLED or is_read or (status == 503 and not is_own)


class Bills:
    """What the server at `url` charges for `model`, and a gate in front of it, which is open where cost has no limit.

    Requests go through it one at a time until a bill has stayed within its bound.
    """

    def __init__(self, url: str, model: str, prices: Prices, budget: Budget) -> None:
        self._url, self._model, self._prices = url, model, prices
        self.price = prices.find(model)
        """What the model charges, or the dearer one that answers under its name; None where nobody knows."""
        self._limited = budget.max_usd is not None and self.price not in (None, FREE)
        self._trusted = not self._limited
        self._turn = Window(1)

    def note_model(self, outcome: Reply | Fault) -> str:
        """Count at the price of the model that answers from now on, where that is the dearer one; what to say of it."""
        other = outcome.model if isinstance(outcome, Reply) and outcome.model != self._model else ""
        listed = self._prices.find(other) if other and self.price is not None else None
        dearer = self.price.or_dearer(listed) if listed is not None and self.price is not None else self.price
        if dearer is None or dearer == self.price:
            return ""
        self.price = dearer
        return f"{self._url} answers as {other}, which costs more than {self._model}: the higher price counts."

    async def enter(self, *, ahead: bool = False) -> bool:
        """Wait for a turn if turns are taken, `ahead` of all who wait; whether this request is alone, for `leave`."""
        if self._trusted:
            return False
        await self._turn.acquire(ahead=ahead)
        if not self._trusted:
            return True
        self._turn.release()
        return False

    def leave(self, alone: bool) -> None:
        """The request is over; `alone` is what `enter` said."""
        if alone:
            self._turn.release()

    def check(self, billed: float, usage: Usage | None, reserved_usd: float, budget: Budget) -> Overbilled | None:
        """What a bill above the bound that was set aside for it comes to, where cost is limited."""
        if not self._limited:
            return None
        if billed <= reserved_usd:
            self._trusted = self._trusted or usage is not None  # without a bill nothing is known
            return None
        prompt, completion = usage or (0, 0)
        tokens = f" ({prompt:,} prompt and {completion:,} completion tokens)" if usage else ""
        return Overbilled(
            f"{self._url} billed ${billed:.6g}{tokens} for a request that costs at most ${reserved_usd:.6g}, so the "
            f"limit of ${budget.max_usd:.6g} cannot be kept there: ${budget.spent_usd:.6g} is spent and nothing more "
            "is sent; check the bill with the provider, or leave the limit out"
        )
