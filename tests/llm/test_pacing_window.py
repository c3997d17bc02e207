import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.llm.pacing import Window


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_of_overloads_halves_the_window_once() -> None:
    clock = Clock()
    window = Window(64, clock=clock)
    for _ in range(64):
        window.overload()
    assert window.limit == 32


def test_a_slow_request_of_an_earlier_round_does_not_halve_it_again() -> None:
    clock = Clock()
    window = Window(64, clock=clock)
    window.overload(sent_at=0.0)
    clock.now = 10.0
    window.overload(sent_at=0.5)
    assert window.limit == 32
    window.overload(sent_at=9.0)
    assert window.limit == 16


def test_it_never_falls_under_one() -> None:
    clock = Clock()
    window = Window(3, clock=clock)
    for _ in range(5):
        window.overload()
        clock.now += 2
    assert window.limit == 1


def test_it_grows_by_one_slot_a_window_of_successes_up_to_its_maximum() -> None:
    window = Window(64)
    window.overload()
    for _ in range(32):
        window.success()
    assert window.limit == pytest.approx(33, abs=0.05)
    for _ in range(5000):
        window.success()
    assert window.limit == 64


def test_a_released_slot_goes_to_whoever_waited_longest() -> None:
    async def run() -> list[int]:
        window, order = Window(1), []

        async def take(number: int) -> None:
            await window.acquire()
            order.append(number)
            window.release()

        await window.acquire()
        tasks = [asyncio.create_task(take(number)) for number in range(5)]
        await asyncio.sleep(0)
        window.release()
        await asyncio.gather(*tasks)
        assert window.in_flight == 0
        return order

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_who_asks_to_go_ahead_gets_the_next_slot() -> None:
    async def run() -> list[str]:
        window, order = Window(1), []

        async def take(name: str, ahead: bool) -> None:
            await window.acquire(ahead=ahead)
            order.append(name)
            window.release()

        await window.acquire()
        tasks = [asyncio.create_task(take(name, name == "again")) for name in ("first", "second", "again")]
        await asyncio.sleep(0)
        window.release()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == ["again", "first", "second"]


def test_a_slot_handed_over_to_a_cancelled_task_is_not_lost() -> None:
    async def run() -> int:
        window = Window(1)
        await window.acquire()
        task = asyncio.create_task(window.acquire())
        await asyncio.sleep(0)
        window.release()  # hands the slot over
        task.cancel()  # in the same instant
        await asyncio.gather(task, return_exceptions=True)
        return window.in_flight

    assert asyncio.run(run()) == 0


steps = st.lists(
    st.tuples(st.sampled_from(["take", "free", "cancel", "success", "overload", "tick"]), st.integers(0, 9)),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(limit=st.integers(1, 6), steps=steps)
def test_it_is_never_over_its_limit_and_never_leaks(limit: int, steps: list[tuple[str, int]]) -> None:
    asyncio.run(play(limit, steps))


async def play(limit: int, steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    window = Window(limit, clock=clock)
    holding: list[asyncio.Event] = []
    tasks: list[asyncio.Task[None]] = []

    async def hold() -> None:
        await window.acquire()
        try:
            freed = asyncio.Event()
            holding.append(freed)
            await freed.wait()
        finally:
            window.release()

    seen = 0

    def check() -> None:
        nonlocal seen
        assert 1 <= window.limit <= limit
        assert 0 <= window.in_flight <= max(seen, window.limit)  # it may be over a limit that fell, never grow over it
        seen = window.in_flight

    for step, number in steps:
        if step == "take":
            tasks.append(asyncio.create_task(hold()))
        elif step == "free" and holding:
            holding.pop(number % len(holding)).set()
        elif step == "cancel" and tasks:
            tasks[number % len(tasks)].cancel()
        elif step == "success":
            window.success()
        elif step == "overload":
            window.overload()
        clock.now += 1.5 * (step == "tick")
        check()
        if number % 2:
            await asyncio.sleep(0)
            check()
    for _ in range(4 * len(steps) + 4):
        for freed in holding:
            freed.set()
        await asyncio.sleep(0)
        check()
    assert all(task.cancelled() or (task.done() and task.exception() is None) for task in tasks)
    assert window.in_flight == 0
