"""A budget to the last unit, and with many who wait for it."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Budget, BudgetExhausted

UNIT = 1e-12


def test_what_is_set_aside_and_spent_is_rounded_up_and_the_limit_down() -> None:
    budget = Budget(3.5 * UNIT)
    assert budget.reserve(1.2 * UNIT)
    assert budget.reserved_usd == 2 * UNIT
    assert not budget.reserve(1.2 * UNIT)
    assert budget.reserve(1 * UNIT)
    budget.settle(1.2 * UNIT, 0.1 * UNIT)
    assert budget.spent_usd == 1 * UNIT
    assert Budget(spent_usd=0.4 * UNIT).spent_usd == 1 * UNIT
    assert Budget(1.5 * UNIT).reserve(1 * UNIT)
    assert not Budget(1.5 * UNIT).reserve(2 * UNIT)


@given(st.floats(0, 1e6))
def test_all_of_a_limit_can_be_set_aside_in_whole_units_and_no_more(limit: float) -> None:
    whole = math.floor(limit / UNIT) * UNIT
    budget = Budget(limit)
    assert budget.reserve(max(0.0, whole * (1 - 1e-15) - 2 * UNIT))
    assert budget.committed_usd <= limit
    assert not budget.reserve(limit + 2 * UNIT)


def test_the_whole_limit_may_be_spent_by_one_request() -> None:
    assert Budget(1.0).reserve(1.0)
    assert not Budget(1.0).reserve(1.0 + 2 * UNIT)
    assert Budget(1.0, 1.0).reserve(0.0)
    assert not Budget(0.0).reserve(UNIT)


def test_a_fresh_budget_has_spent_nothing_and_tells_its_limit() -> None:
    budget = Budget(2.0)
    assert (budget.max_usd, budget.spent_usd, budget.reserved_usd, budget.committed_usd) == (2.0, 0.0, 0.0, 0.0)
    assert Budget().max_usd is None


@pytest.mark.parametrize("amount", [-1e-9, float("nan"), float("inf")])
def test_what_was_spent_earlier_must_be_an_amount(amount: float) -> None:
    with pytest.raises(UserError, match=r"^a budget is a number of US dollars, 0 or more, not "):
        Budget(1.0, amount)
    with pytest.raises(UserError, match="US dollars"):
        Budget(None, amount)


def test_a_journal_that_fails_takes_back_only_its_own_request() -> None:
    told: list[float] = []
    budget = Budget(1.0, 0.125, told.append)
    assert budget.reserve(0.25)

    def full(committed: float) -> None:
        raise OSError("disk full")

    budget.journal = full
    with pytest.raises(OSError, match="disk full"):
        budget.reserve(0.5)
    assert (budget.reserved_usd, budget.committed_usd) == (0.25, 0.375)
    budget.journal = told.append
    budget.close()
    assert 0.375 <= told[0] <= 0.375 + 0.625 / 8
    assert told[1:] == [0.375]


def test_all_who_wait_try_again_when_one_settles_and_one_that_gave_up_harms_nobody() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.hold(1.0)
        waiting = [asyncio.create_task(budget.hold(0.4)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        budget.settle(1.0, 0.1)
        await asyncio.wait_for(asyncio.gather(*waiting[1:]), 20)
        assert budget.committed_usd == pytest.approx(0.9)
        budget.settle(0.4, 0.4)
        budget.settle(0.4, 0.4)
        assert budget.reserved_usd == 0

    asyncio.run(run())


def test_who_can_never_be_served_is_told_while_others_are_under_way() -> None:
    async def run() -> None:
        budget = Budget(1.0, 0.5)
        await budget.hold(0.25)
        with pytest.raises(BudgetExhausted) as raised:
            await asyncio.wait_for(budget.hold(0.500001), 20)
        assert str(raised.value) == (
            "the budget of $1 is used up: $0.500000 spent, and the next request could cost up to $0.500001"
        )
        exact = asyncio.create_task(budget.hold(0.5))
        await asyncio.sleep(0)
        assert not exact.done()
        budget.settle(0.25, 0.0)
        await asyncio.wait_for(exact, 20)

    asyncio.run(run())


def test_what_nobody_waits_for_counts_as_spent_at_the_close() -> None:
    told: list[float] = []
    budget = Budget(2.0, journal=told.append)
    budget.close()
    assert told == []
    assert budget.reserve(0.5)
    budget.close()
    assert budget.reserve(0.25)
    budget.settle(0.25, 0.125)
    budget.close()
    assert told[0] >= 0.5
    assert told[2] >= 0.75
    assert [told[1], *told[3:]] == [0.5, 0.625]


def test_a_bill_above_what_was_set_aside_is_journalled_at_once_and_one_within_it_is_not() -> None:
    told: list[float] = []
    budget = Budget(2.0)
    assert budget.reserve(0.5)
    assert budget.reserve(0.25)
    budget.journal = told.append
    budget.settle(0.25, 0.25)
    assert told == []
    budget.settle(0.5, 0.75)
    assert len(told) == 1
    assert 1.0 <= told[0] <= 1.0 + 1.0 / 8
    budget.close()
    assert told[1:] == [1.0]


def test_a_journal_hears_of_an_eighth_of_what_is_left_and_no_word_twice() -> None:
    told: list[float] = []
    budget = Budget(1.0, journal=told.append)
    assert budget.reserve(0.2)
    assert told == [pytest.approx(0.3, abs=1e-12)]
    budget.settle(0.2, 0.2)
    assert budget.reserve(0.8)
    budget.settle(0.8, 0.5)
    assert budget.reserve(0.3)
    assert told[1:] == [1.0], "it knew already that all may be spent"
