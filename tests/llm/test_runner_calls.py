"""What becomes of the calls in flight when one of them, or whoever watches, ends the run."""

import asyncio
from collections.abc import Sequence

import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import BudgetExhausted, Draining
from efficient_empathy.llm.runner import Watcher, Work, run, run_calls


class Asked:
    """Ten items, each answered by twice its number unless `fails` says what to raise for it."""

    def __init__(self, fails: dict[int, Exception] | None = None) -> None:
        self.items = list(range(10))
        self.fails = fails or {}
        self.kept: dict[int, int] = {}
        self.events: list[str] = []

    def take(self, count: int) -> Sequence[int]:
        batch, self.items = self.items[:count], self.items[count:]
        return batch

    async def ask(self, batch: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        for item in batch:
            if item in self.fails:
                raise self.fails[item]
        await asyncio.sleep(0)
        return [2 * item for item in batch]

    def keep(self, batch: Sequence[int], answers: list[int]) -> None:
        self.kept |= dict(zip(batch, answers, strict=True))

    async def close(self) -> None:
        self.events.append("closed")

    def work(self, **options: int) -> Work:
        return Work(
            self.take, self.ask, self.keep, drain=lambda: self.events.append("drained"),
            check=lambda: self.events.append("checked"), close=self.close, **options,
        )  # fmt: skip


def test_every_item_is_asked_for_once_in_batches_and_at_once() -> None:
    asked = Asked()
    assert asyncio.run(run_calls(asked.work(batch_size=3, concurrency=2), asyncio.Event())) == "complete"
    assert asked.kept == {item: 2 * item for item in range(10)}
    assert asked.events == []


def test_a_fault_of_all_calls_is_raised_after_those_in_flight_are_kept_and_nothing_new_goes_out() -> None:
    asked = Asked({0: UserError("the key is refused")})
    with pytest.raises(UserError, match="the key is refused"):
        asyncio.run(run_calls(asked.work(concurrency=3), asyncio.Event()))
    assert asked.kept == {1: 2, 2: 4}
    assert asked.events == ["drained"]


def test_a_budget_that_is_used_up_lets_those_in_flight_be_tried_again() -> None:
    asked = Asked({0: BudgetExhausted("used up")})
    assert asyncio.run(run_calls(asked.work(concurrency=3), asyncio.Event())) == "budget"
    assert asked.kept == {1: 2, 2: 4}
    assert asked.events == []


@pytest.mark.parametrize("first", [0, 1])
def test_of_a_used_up_budget_and_a_fault_the_fault_is_told(first: int) -> None:
    asked = Asked({first: BudgetExhausted("used up"), 1 - first: UserError("the disk is full")})
    with pytest.raises(UserError, match="the disk is full"):
        asyncio.run(run_calls(asked.work(concurrency=2), asyncio.Event()))


def test_calls_that_drain_and_a_stop_end_the_run_without_an_error() -> None:
    async def stopped(asked: Asked) -> str:
        stop = asyncio.Event()
        stop.set()
        return await run_calls(asked.work(), stop)

    asked = Asked()
    assert asyncio.run(stopped(asked)) == "stopped"
    assert asked.kept == {}
    asked = Asked({3: Draining(0, 0.0)})
    assert asyncio.run(run_calls(asked.work(), asyncio.Event())) == "complete"
    assert sorted(asked.kept) == [0, 1, 2]


class Watching(Watcher):
    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.names: list[Sequence[str]] = []
        self.ended = False

    def signals(self, names: Sequence[str]) -> None:
        self.names.append(list(names))

    async def watch(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


def test_whoever_watches_hears_of_the_signals_and_ends_with_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    asked, console = Asked(), Console(width=200)
    watcher = Watching(console)
    assert watcher.console is console
    assert run(asked.work(), watcher) == "complete"
    assert asked.events == ["checked", "closed"]
    assert watcher.ended
    assert set(watcher.names[0]) <= {"SIGHUP", "SIGINT", "SIGTERM"}
    Watcher(console).stopping()
    assert capsys.readouterr().out == "\nStopping: finishing the calls in flight (Ctrl-C again abandons them).\n"


def test_the_work_is_closed_when_it_fails_too() -> None:
    asked = Asked({0: UserError("the key is refused")})
    with pytest.raises(UserError):
        run(asked.work(), Watching(Console()))
    assert asked.events == ["drained", "closed"]
