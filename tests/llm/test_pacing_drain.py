"""Draining: what is under way ends by itself, what waits ends at once, and nothing leaks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Budget, Completion, Draining, Endpoint
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, error, server_error, too_many_requests

MESSAGES = [{"role": "user", "content": "question 0"}]
BOUND = Endpoint("http://127.0.0.1:1/v1", "gpt-4o").estimate(MESSAGES, max_tokens=16).max_cost_usd


def drained(
    server: MisbehavingServer, calls: int, when: Callable[[Endpoint], Awaitable[Any]], **options: Any
) -> list[Any]:
    """The results of `calls` calls at once to an endpoint that drains after `when`."""

    async def run() -> list[Any]:
        async with Endpoint(server.url, "gpt-4o", **options) as endpoint:
            tasks = [asyncio.create_task(endpoint.complete(MESSAGES, max_tokens=16)) for _ in range(calls)]
            async with asyncio.timeout(10):
                await when(endpoint)
                endpoint.drain()
                endpoint.drain()
                results = await asyncio.gather(*tasks, return_exceptions=True)
            assert not any(task.cancelling() for task in tasks)
            assert (endpoint.window.in_flight, endpoint.budget.reserved_usd) == (0, 0)
            with pytest.raises(Draining):
                await endpoint.complete(MESSAGES, max_tokens=16)
            return results

    assert not issubclass(Draining, UserError)
    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (what is waited for happens in the server's thread)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("options", [{"concurrency": 1}, {"concurrency": 4, "budget": Budget(1.5 * BOUND)}])
def test_calls_that_wait_for_a_slot_or_for_money_end_and_the_one_under_way_is_answered(options: Any) -> None:
    with MisbehavingServer(latency_s=0.3) as server:
        results = drained(server, 4, lambda _: until(lambda: server.concurrent == 1), **options)
        assert len(server.requests) == 1
    assert [type(result) for result in results] == [Completion, Draining, Draining, Draining]
    assert [(result.attempts, result.cost_usd) for result in results[1:]] == [(0, 0.0)] * 3


@pytest.mark.parametrize(
    ("behaviour", "cost"),
    [(too_many_requests("100"), 0.0), (error(504, "gateway timeout", Retry_After="100"), BOUND)],
)
def test_a_call_between_retries_ends_with_what_its_attempts_came_to(behaviour: Behaviour, cost: float) -> None:
    budget = Budget(1.0)
    with MisbehavingServer(behaviour) as server:

        async def asleep(endpoint: Endpoint) -> None:
            await until(lambda: endpoint.stats.failures.total() == 1)

        (result,) = drained(server, 1, asleep, budget=budget)
        assert len(server.requests) == 1
    assert isinstance(result, Draining)
    assert (result.attempts, result.cost_usd) == (1, pytest.approx(cost))
    assert str(result).startswith("HTTP ")
    assert str(result).endswith("; it was stopped before another try")
    assert budget.spent_usd == pytest.approx(cost)


def test_a_request_under_way_that_fails_is_not_sent_again() -> None:
    with MisbehavingServer(server_error(), latency_s=0.1) as server:
        (result,) = drained(server, 1, lambda _: until(lambda: server.concurrent == 1))
        assert (type(result), result.attempts, len(server.requests)) == (Draining, 1, 1)


def test_a_slot_handed_over_in_the_same_instant_is_given_back() -> None:
    async def run() -> None:
        async with Endpoint(server.url, "gpt-4o", concurrency=1) as endpoint:
            await endpoint.window.acquire()
            call = asyncio.create_task(endpoint.complete(MESSAGES, max_tokens=16))
            await asyncio.sleep(0.01)
            endpoint.window.release()
            endpoint.drain()
            with pytest.raises(Draining):
                await call
            assert endpoint.window.in_flight == 0

    with MisbehavingServer() as server:
        asyncio.run(run())
        assert not server.requests


def test_money_that_comes_free_in_the_same_instant_is_given_back() -> None:
    async def run() -> None:
        budget = Budget(1.5 * BOUND)
        async with Endpoint(server.url, "gpt-4o", budget=budget) as endpoint:
            assert budget.reserve(BOUND)
            call = asyncio.create_task(endpoint.complete(MESSAGES, max_tokens=16))
            await asyncio.sleep(0.01)
            budget.settle(BOUND, 0.0)
            endpoint.drain()
            with pytest.raises(Draining):
                await call
            assert (endpoint.window.in_flight, budget.committed_usd) == (0, 0)

    with MisbehavingServer() as server:
        asyncio.run(run())
        assert not server.requests


def test_a_call_that_is_cancelled_as_well_is_cancelled() -> None:
    async def run() -> None:
        async with Endpoint("http://127.0.0.1:1/v1", "gpt-4o", concurrency=1) as endpoint:
            await endpoint.window.acquire()
            call = asyncio.create_task(endpoint.complete(MESSAGES, max_tokens=16))
            await asyncio.sleep(0.01)
            endpoint.drain()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert endpoint.window.in_flight == 1

    asyncio.run(run())
