import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest

from efficient_empathy.cluster.books import Account, Books, Report
from efficient_empathy.cluster.budget import LeasedBudget
from efficient_empathy.llm.errors import BudgetExhausted, Draining
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.ledger.journal import FOLDER
from efficient_empathy.scoring.ledger.recovery import recover
from efficient_empathy.scoring.ledger.spending import SpendingFile

T = TypeVar("T")


def run(awaitable: Awaitable[T]) -> T:
    async def main() -> T:
        return await awaitable

    return asyncio.run(main())


def leased(books: Books, worker: str) -> LeasedBudget:
    journal = SpendingFile(books._path.parent / FOLDER / worker)
    return LeasedBudget(books._max, lambda usd, account: books.lease(worker, usd, account), journal)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def spent(path: Path) -> float:
    with Ledger(path, read_only=True) as ledger:
        return ledger.spent_usd()


async def ask(budget: LeasedBudget, calls: int, bound: float, cost: float) -> int:
    done = 0
    for _ in range(calls):
        try:
            await budget.hold(bound)
        except BudgetExhausted:
            return done
        await asyncio.sleep(0)
        budget.settle(bound, cost)
        done += 1
    return done


def test_workers_together_spend_all_of_the_budget_and_no_more(ledger: Path) -> None:
    books = Books(ledger, 3, max_usd=1.0, spent_usd=0.25)

    async def work() -> list[int]:
        return await asyncio.gather(*(ask(leased(books, f"w{i}"), 1000, 0.02, 0.01) for i in range(3)))

    done = sum(run(work()))
    assert 0.7 < 0.01 * done <= 0.75
    assert books.spent() <= 1.0


def test_what_may_be_spent_is_in_the_ledger_before_it_is(ledger: Path) -> None:
    books = Books(ledger, 1, max_usd=10.0, spent_usd=1.0)
    budget = leased(books, "w")

    async def first() -> None:
        await budget.hold(0.5)
        assert spent(ledger) >= 1.5
        budget.settle(0.5, 0.1)
        budget.give_back()
        await books.report("w", Report({}, 1, 0.1, budget.account))
        assert await books.close() == pytest.approx(0.1)

    run(first())
    assert spent(ledger) == pytest.approx(1.1)


def test_without_a_limit_the_ledger_knows_all_the_same(ledger: Path) -> None:
    books = Books(ledger, 2)
    assert run(ask(leased(books, "w"), 3, 0.5, 0.5)) == 3
    assert spent(ledger) >= 1.5


def test_what_costs_nothing_asks_nobody(ledger: Path) -> None:
    assert run(ask(leased(Books(ledger, 2, max_usd=0.0), "w"), 5, 0.0, 0.0)) == 5
    assert not ledger.exists()


def test_the_error_says_what_the_budget_was(ledger: Path) -> None:
    with pytest.raises(BudgetExhausted, match=r"the budget of \$2 is used up"):
        run(leased(Books(ledger, 1, max_usd=2.0), "w").hold(3.0))


def test_of_what_a_dead_worker_had_in_hand_what_it_may_have_spent_is_gone(ledger: Path) -> None:
    books = Books(ledger, 1, max_usd=10.0)
    dead = leased(books, "dead")

    async def die() -> float:
        assert (await books.begin(7, "dead")).deaths == 0
        await books.start(7)
        await ask(dead, 7, 0.01, 0.002)
        await dead.hold(0.01)
        turn = await books.begin(7, "next")
        assert (turn.deaths, turn.stop, turn.is_done) == (1, False, False)
        return books.spent()

    in_hand = run(die())
    assert 7 * 0.002 + 0.01 <= in_hand <= 0.002 + 0.01 * 18
    with pytest.raises(Draining):
        run(ask(dead, 30, 0.01, 0.01))
    assert 0.1 * run(ask(leased(books, "next"), 200, 0.1, 0.1)) == pytest.approx(10.0 - in_hand, abs=0.1)


def test_what_killed_workers_were_given_and_did_not_spend_comes_back(ledger: Path) -> None:
    books = Books(ledger, 2, max_usd=100.0, spent_usd=3.0)
    workers = [leased(books, name) for name in "ab"]

    async def spend() -> None:
        await asyncio.gather(*(ask(one, 40, 0.05, 0.01) for one in workers))
        await workers[0].hold(0.05)

    run(spend())
    assert spent(ledger) > 3.0 + 2 * 64 * 0.05 - 0.01
    with Ledger(ledger) as again:
        before = again.spent_usd()
        back = recover(ledger.parent, again)
        assert again.spent_usd() == pytest.approx(before - back)
        assert 3.0 + 80 * 0.01 + 0.05 <= again.spent_usd() <= 3.0 + 80 * 0.01 + 0.05 + 2 * 16 * 0.05
        assert recover(ledger.parent, again) == 0
    with pytest.raises(Draining):
        run(ask(workers[1], 30, 0.05, 0.05))


def test_what_one_machine_spends_later_never_comes_back(ledger: Path) -> None:
    run(ask(leased(Books(ledger, 1, max_usd=100.0), "w"), 3, 0.05, 0.05))
    with Ledger(ledger) as later:
        later.commit_usd(50.0)
        assert recover(ledger.parent, later) == 0
        assert later.spent_usd() == 50.0


def test_a_finished_unit_is_not_judged_again(ledger: Path) -> None:
    books = Books(ledger, 1)

    async def twice() -> bool:
        await books.begin(1, "a")
        await books.finish(1)
        return (await books.begin(1, "b")).is_done

    assert run(twice())


def test_an_error_stops_everybody_and_is_told_once_to_each(ledger: Path) -> None:
    books = Books(ledger, 2)

    async def fail() -> None:
        assert not await books.report("a", Report({"ok": 2}, 3, 0.5, Account(), 4, 8, ["watch out"]))
        await books.fail("the key is wrong")
        await books.fail("something later")
        assert await books.report("b", Report({"ok": 1}, 1, 0.25, Account(), 1, 8, ["watch out"]))
        tally = await books.tally()
        assert tally.states == {"ok": 3}
        assert (tally.requests, tally.cost_usd, tally.in_flight, tally.limit) == (4, 0.75, 5, 16)
        assert tally.notices == ["watch out"]
        assert tally.error == "the key is wrong"
        assert (await books.tally()).states == {}
        assert (await books.begin(1, "a")).stop

    run(fail())
