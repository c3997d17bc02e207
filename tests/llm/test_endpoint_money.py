import asyncio
import json
import threading
from typing import Any

import pytest

from calling import Client
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import (
    Budget,
    BudgetExhausted,
    CallFailed,
    Completion,
    Endpoint,
    KeyRefused,
    Overbilled,
    Price,
)
from misbehaving_server import MisbehavingServer, refusing_url
from misbehaviours import (
    Behaviour,
    completion,
    empty_choices,
    error,
    half_body,
    not_json,
    ok,
    raw,
    reset,
    server_error,
    stall,
    too_many_requests,
    unauthorized,
)

MESSAGES = [{"role": "user", "content": "question 0"}]
STALL = stall()


def bound() -> float:
    return Endpoint("http://127.0.0.1:1/v1", "gpt-4o").estimate(MESSAGES, max_tokens=16).max_cost_usd


def test_the_bound_covers_every_byte_and_the_estimate_lies_under_it() -> None:
    endpoint = Endpoint("http://127.0.0.1:1/v1", "gpt-4o")
    estimate = endpoint.estimate([{"role": "user", "content": "é" * 1000}], max_tokens=16, n=2)
    assert estimate.completion_tokens == 32
    assert estimate.max_cost_usd >= (2000 + 16 + 16) * 2.5e-6 + 32 * 1e-5
    assert 500 <= estimate.prompt_tokens <= 550
    assert 0 < estimate.cost_usd < estimate.max_cost_usd


@pytest.mark.parametrize(
    ("behaviour", "billed"),
    [
        (too_many_requests(), False),
        *((error(status, "not now"), False) for status in (409, 429, 503, 529)),
        *((server_error(status), True) for status in (408, 500, 502, 503, 504, 520, 522, 524, 599)),
        (raw(json.dumps({"error": {"message": "slow down", "code": 429}})), False),
        (raw(json.dumps({"error": {"message": "something broke"}})), True),
        (reset(), True),
        (half_body(), True),
        (not_json(), True),
        (STALL, True),
    ],
)
def test_what_may_have_been_billed_is_settled_at_the_bound(client: Client, behaviour: Behaviour, billed: bool) -> None:
    budget, timeout_s = Budget(1.0), 0.3 if behaviour is STALL else 20.0
    with MisbehavingServer(behaviour) as server:
        failure = client.failure(server.url, max_attempts=2, timeout_s=timeout_s, patience_s=0.0, budget=budget)
    assert failure.cost_usd == pytest.approx(failure.attempts * bound() if billed else 0.0)
    assert budget.spent_usd == pytest.approx(failure.cost_usd)
    assert client.endpoint.stats.spent_usd == failure.cost_usd


def test_a_model_that_is_being_loaded_costs_nothing(client: Client) -> None:
    with MisbehavingServer([error(500, "llm server loading model")] * 3) as server:
        assert client.completion(server.url).cost_usd == pytest.approx(20 * 2.5e-6 + 4 * 1e-5)


def test_a_reply_without_choices_costs_what_it_says(client: Client) -> None:
    with MisbehavingServer(empty_choices()) as server:
        assert client.failure(server.url, max_attempts=1).cost_usd == pytest.approx(20 * 2.5e-6)


@pytest.mark.parametrize(
    ("refusal", "billed"),
    [
        (error(400, "the value of seed is wrong"), False),
        (error(403, "not this one"), False),
        (error(413, "the body is too large"), False),
        (error(400, "The response was filtered by our content policy", code="content_filter"), True),
        (error(400, "This model's maximum context length is 8192 tokens", code="context_length_exceeded"), True),
    ],
)
def test_a_refusal_costs_nothing_unless_the_request_was_read(client: Client, refusal: Behaviour, billed: bool) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return refusal if "1" in body["messages"][0]["content"] else ok()

    with MisbehavingServer(script) as server:
        _, failure = client(server.url, 2, concurrency=1)
    assert failure.cost_usd == pytest.approx(bound() if billed else 0.0)


def test_a_dearer_model_that_answers_is_counted_at_its_price(client: Client) -> None:
    notices: list[str] = []
    body = {**json.loads(completion(usage=(20, 4))), "model": "gpt-4o-2024-05-13"}
    with MisbehavingServer(raw(json.dumps(body))) as server:
        results = client(server.url, 3, concurrency=1, budget=Budget(1.0), notify=notices.append)
    assert [result.cost_usd for result in results] == pytest.approx([20 * 5e-6 + 4 * 15e-6] * 3)
    assert client.endpoint.price == Price(5.0, 15.0, cached=5.0, written=6.25)
    (notice,) = notices
    assert "answers as gpt-4o-2024-05-13, which costs more than gpt-4o" in notice


def test_a_connection_that_is_refused_costs_nothing(client: Client) -> None:
    budget = Budget(1.0)
    client(refusing_url(), max_attempts=2, budget=budget)
    assert budget.spent_usd == 0


def test_a_reply_without_usage_is_counted_by_bytes_and_settled_at_the_bound(client: Client) -> None:
    with MisbehavingServer(ok("7 8 9", usage=None)) as server:
        answer = client.completion(server.url)
    assert answer.cost_usd == pytest.approx(bound())
    assert answer.completion_tokens == 2
    assert answer.prompt_tokens > 0


@pytest.mark.parametrize("usage", [(20, 4), None])
def test_a_budget_is_never_exceeded_and_is_used_up(client: Client, usage: Any) -> None:
    limit = 30.5 * bound()
    budget = Budget(limit, spent_usd=5 * bound())

    def script(body: dict[str, object], number: int) -> Behaviour:
        return error(503, "busy") if number % 7 == 3 else ok(usage=usage)

    with MisbehavingServer(script, latency_s=0.002) as server:
        results = client(server.url, 200, concurrency=16, budget=budget)
        answered = [result for result in results if isinstance(result, Completion)]
    assert {type(result) for result in results} <= {Completion, BudgetExhausted, CallFailed}
    assert budget.spent_usd <= limit
    assert limit - budget.spent_usd < bound()
    assert len(answered) == 25 if usage is None else len(answered) > 25
    assert sum(result.cost_usd for result in results) == pytest.approx(budget.spent_usd - 5 * bound())


@pytest.mark.parametrize("usage", [(900_000_000, 4), (20, 10**9), (10**400, 4)])
def test_one_reply_at_most_is_billed_above_its_bound_where_cost_is_limited(client: Client, usage: Any) -> None:
    budget = Budget(0.05)
    with MisbehavingServer(ok(usage=usage), latency_s=0.02) as server:
        results = client(server.url, 100, concurrency=64, budget=budget)
        assert len(server.requests) == 1
    assert [type(result) for result in results].count(Completion) == 1
    (overbilled,) = {str(result) for result in results if isinstance(result, Overbilled)}
    assert f"${budget.spent_usd:.6g} is spent" in overbilled
    assert "the limit of $0.05 cannot be kept" in overbilled
    with pytest.raises(Overbilled):
        client.endpoint.check()


def test_a_server_that_starts_to_bill_too_much_is_paid_for_what_is_under_way_and_no_more(client: Client) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        return ok() if number < 20 else ok(usage=(900_000_000, 4))

    with MisbehavingServer(script, latency_s=0.02) as server:
        results = client(server.url, 200, concurrency=8, budget=Budget(1.0))
        assert server.max_concurrent == 8
        assert 21 <= len(server.requests) <= 20 + 8
    assert sum(isinstance(result, Overbilled) for result in results) == 200 - len(server.requests)


@pytest.mark.parametrize("behaviour", [too_many_requests(), server_error(504), ok(usage=None), ok(usage=(0, 0))])
def test_requests_go_alone_until_a_bill_has_stayed_within_its_bound(client: Client, behaviour: Behaviour) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        if number == 5:
            peaks.append(server.max_concurrent)
        return behaviour if number < 5 else ok()

    peaks: list[int] = []
    with MisbehavingServer(script, latency_s=0.02) as server:
        client(server.url, 40, concurrency=8, budget=Budget(1.0))
        assert peaks == [1]
        assert server.max_concurrent > 1


def test_without_a_limit_a_high_bill_ends_nothing(client: Client) -> None:
    with MisbehavingServer(ok(usage=(900_000_000, 4))) as server:
        assert all(isinstance(result, Completion) for result in client(server.url, 10))


@pytest.mark.parametrize("usage", [(0, 4), (20, 0), (0, 0), {"completion_tokens": 4}])
def test_a_bill_for_nothing_is_settled_at_the_bound(client: Client, usage: Any) -> None:
    budget = Budget(1.0)
    with MisbehavingServer(ok(usage=usage)) as server:
        client(server.url, budget=budget)
    assert budget.spent_usd == pytest.approx(bound())


def test_nothing_is_sent_once_the_budget_is_spent(client: Client) -> None:
    with MisbehavingServer() as server:
        (result,) = client(server.url, budget=Budget(bound() * 0.99))
        assert isinstance(result, BudgetExhausted)
        assert not server.requests


def test_a_model_without_a_price_is_free_unless_cost_is_limited(client: Client) -> None:
    with MisbehavingServer() as server:
        assert client.completion(server.url, model="our-llama").cost_usd == 0
        with pytest.raises(UserError, match=r'"our-llama": add the model to a prices file'):
            client(server.url, model="our-llama", budget=Budget(1.0))


def test_an_endpoint_tells_its_price_or_that_nobody_knows_it() -> None:
    assert Endpoint("http://127.0.0.1:1/v1", "gpt-4o-2024-05-13").price == Price(5.0, 15.0)
    unknown = Endpoint("http://127.0.0.1:1/v1", "gpt-5-pro")
    assert unknown.price is None
    assert unknown.estimate(MESSAGES, max_tokens=16).cost_usd == 0


def test_what_was_billed_before_a_fatal_error_stays_counted_and_was_journalled_before_it_was_sent(
    client: Client,
) -> None:
    told: list[float] = []
    budget = Budget(1.0, journal=told.append)

    def script(body: dict[str, object], number: int) -> Behaviour:
        assert told[-1] >= (number + 1) * bound() * 0.999999
        return error(408, "timeout") if number < 20 else unauthorized()

    with MisbehavingServer(script) as server:
        (result,) = client(server.url, max_attempts=30, budget=budget)
        assert isinstance(result, KeyRefused)
        assert len(server.requests) == 21
    assert budget.spent_usd == pytest.approx(20 * bound())
    budget.close()
    assert told[-1] == budget.spent_usd


def test_a_budget_that_ends_between_tries_hides_no_reason(client: Client) -> None:
    with MisbehavingServer(error(502, "bad gateway")) as server:
        (result,) = client(server.url, budget=Budget(2.5 * bound()))
        assert len(server.requests) == 2
    assert isinstance(result, BudgetExhausted)
    budget = f"{2.5 * bound():.6g}"
    assert str(result) == f"HTTP 502: bad gateway; the budget of ${budget} does not cover another try"


def test_nothing_is_sent_that_the_journal_did_not_take(client: Client) -> None:
    def full(committed_usd: float) -> None:
        raise OSError("disk full")

    with MisbehavingServer() as server:
        (result,) = client(server.url, budget=Budget(journal=full))
        assert isinstance(result, OSError)
        assert not server.requests


def test_cancelled_calls_leak_no_slot_and_no_money() -> None:
    arrived = threading.Event()

    def script(body: dict[str, object], number: int) -> Behaviour:
        if number == 4:
            arrived.set()
        return stall() if number else ok()

    async def run(url: str) -> None:
        budget = Budget(100 * bound())
        async with Endpoint(url, "gpt-4o", concurrency=4, budget=budget) as endpoint:
            first = await endpoint.complete(MESSAGES, max_tokens=16)
            tasks = [asyncio.create_task(endpoint.complete(MESSAGES, max_tokens=16)) for _ in range(10)]
            await asyncio.to_thread(arrived.wait, 10)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert all(task.cancelled() for task in tasks)
            assert endpoint.window.in_flight == 0
            assert budget.reserved_usd == 0
            assert budget.spent_usd == pytest.approx(first.cost_usd + 4 * bound())  # sent, and who knows

    with MisbehavingServer(script) as server:
        asyncio.run(run(server.url))
