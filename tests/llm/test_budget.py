import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Budget, BudgetExhausted

dollars = st.floats(0, 2, allow_nan=False)
calls = st.lists(st.tuples(dollars, st.floats(0, 1), st.booleans()), max_size=60)


@given(limit=st.floats(1e-6, 2), spent=dollars, calls=calls)
def test_spent_and_set_aside_never_exceed_the_limit(
    limit: float, spent: float, calls: list[tuple[float, float, bool]]
) -> None:
    budget = Budget(limit, min(spent, limit / 2))
    under_way: list[tuple[float, float]] = []
    for bound, share, settle_one in calls:
        if budget.reserve(bound):
            under_way.append((bound, bound * share))
        if settle_one and under_way:
            budget.settle(*under_way.pop(0))
        assert budget.committed_usd <= limit
    for reserved, actual in under_way:
        budget.settle(reserved, actual)
    assert budget.reserved_usd == 0
    assert budget.spent_usd <= limit


def test_without_a_limit_it_only_counts() -> None:
    budget = Budget(spent_usd=1.0)
    assert budget.reserve(1e6)
    budget.settle(1e6, 2.5)
    assert budget.spent_usd == 3.5


def test_what_is_left_can_be_spent_to_the_last_cent() -> None:
    budget = Budget(0.3)
    assert [budget.reserve(0.1) for _ in range(4)] == [True, True, True, False]


def test_a_server_that_bills_more_than_was_set_aside_stops_everything() -> None:
    budget = Budget(1.0)
    assert budget.reserve(0.5)
    budget.settle(0.5, 1.5)
    assert budget.spent_usd == 1.5
    assert not budget.reserve(1e-9)


def test_hold_waits_for_what_is_set_aside_and_gives_up_when_that_cannot_help() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.hold(0.9)
        second = asyncio.create_task(budget.hold(0.5))
        await asyncio.sleep(0)
        assert not second.done()
        budget.settle(0.9, 0.1)
        await second
        third = asyncio.create_task(budget.hold(0.8))
        await asyncio.sleep(0)
        budget.settle(0.5, 0.5)
        with pytest.raises(BudgetExhausted, match=r"\$1 is used up: \$0\.6"):
            await third
        assert budget.committed_usd == pytest.approx(0.6)

    asyncio.run(run())


@pytest.mark.parametrize("limit", [-1.0, float("nan"), float("inf")])
def test_a_limit_that_is_no_amount_is_refused(limit: float) -> None:
    with pytest.raises(UserError, match="US dollars"):
        Budget(limit)


@given(limit=st.none() | st.floats(1e-3, 2), spent=dollars, calls=calls)
def test_the_journal_knows_of_all_that_may_be_spent_before_it_is_and_the_truth_at_the_end(limit, spent, calls) -> None:
    told: list[float] = []
    budget = Budget(limit, 0.0 if limit is None else min(spent, limit / 2), told.append)
    for bound, share, _ in calls:
        if budget.reserve(bound) and bound:
            assert budget.committed_usd <= told[-1] + 1e-12
            assert limit is None or told[-1] <= limit + 1e-12
            budget.settle(bound, bound * share)
    words = len(told)
    budget.close()
    budget.close()
    assert told[words:] == ([budget.spent_usd] if words else [])


def test_the_journal_writes_once_for_many_requests_and_never_far_beyond_what_they_cost() -> None:
    told: list[float] = []
    budget = Budget(1.0, 0.25, told.append)
    for _ in range(500):
        assert budget.reserve(0.001)
        budget.settle(0.001, 0.0005)
        assert told[-1] - budget.committed_usd <= 0.065
    assert len(told) < 20


def test_a_journal_may_come_later_and_hears_nothing_where_nothing_costs() -> None:
    told: list[float] = []
    budget = Budget()
    assert budget.reserve(1.0)
    budget.journal = told.append
    assert budget.reserve(0.0)
    budget.close()
    assert told == []
    assert budget.reserve(1.0)
    assert told[0] >= 2.0


def test_without_its_journal_entry_no_money_is_set_aside() -> None:
    def full(committed_usd: float) -> None:
        raise OSError("disk full")

    budget = Budget(1.0, journal=full)
    with pytest.raises(OSError, match="disk full"):
        asyncio.run(budget.hold(0.5))
    assert budget.committed_usd == 0
    budget.close()


def test_a_bill_above_what_was_set_aside_is_journalled_at_once() -> None:
    told: list[float] = []
    budget = Budget(1.0, journal=told.append)
    assert budget.reserve(0.5)
    budget.settle(0.5, 900.0)
    assert told[-1] == 900.0


@pytest.mark.parametrize("absurd", [1e300, 1.7e308])
def test_absurd_amounts_are_counted_all_the_same(absurd: float) -> None:
    budget = Budget(absurd)
    assert budget.reserve(1.0)
    budget.settle(1.0, absurd)
    assert not budget.reserve(1.0)


def test_what_a_batch_has_set_aside_becomes_its_bill_and_each_is_told_to_the_dollar() -> None:
    words: list[float] = []
    budget = Budget(1.0, spent_usd=0.5)
    budget.take_back(0.25)  # of a batch that an earlier run has sent
    assert (budget.spent_usd, budget.reserved_usd, budget.committed_usd) == (0.25, 0.25, 0.5)
    assert budget.covers(0.5)
    assert not budget.covers(0.5000001)
    assert budget.reserve(0.4, words.append)
    budget.settle(0.25, 0.05, words.append)
    assert words == pytest.approx([0.9, 0.7])
    assert budget.spent_usd == pytest.approx(0.3)
