"""Refusals that may be about one text, or about everybody: a firewall's page, a key that is revoked, quoted texts."""

from typing import Any

import pytest

from calling import Client
from efficient_empathy.llm import Budget, CallFailed, Completion, EndpointNotFound, KeyRefused, QuotaExhausted
from efficient_empathy.llm.errors import NotTheJudge
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, error, ok, raw, server_error

PAGE = raw("<html><title>Attention Required! | Cloudflare</title>blocked</html>", 403, content_type="text/html")
REFUSALS = {
    "a page": (PAGE, NotTheJudge),
    "a redirect": (raw("", 302, Location="http://blocked.test/"), EndpointNotFound),
    "403": (error(403, "forbidden"), KeyRefused),
    "a key": (error(400, "API key not valid. Please pass a valid API key."), KeyRefused),
    "credit": (error(400, "Your credit balance is too low"), QuotaExhausted),
}


@pytest.mark.parametrize("refusal", [refusal for refusal, _ in REFUSALS.values()], ids=REFUSALS)
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("blocked", [{0}, {5, 6, 7, 8}, {19}])
def test_one_text_that_is_refused_fails_alone_be_it_the_first(
    client: Client, refusal: Behaviour, concurrency: int, blocked: set[int]
) -> None:
    texts = {f"question {number}" for number in blocked}

    def script(body: dict[str, Any], number: int) -> Behaviour:
        return refusal if body["messages"][0]["content"] in texts else ok()

    with MisbehavingServer(script) as server:
        results = client(server.url, 20, concurrency=concurrency)
        assert len(server.requests) <= 20 + len(blocked)
    assert {number for number, result in enumerate(results) if isinstance(result, CallFailed)} == blocked
    assert sum(isinstance(result, Completion) for result in results) == 20 - len(blocked)


def test_the_only_text_of_a_run_that_is_refused_fails_alone(client: Client) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return PAGE if body["messages"][0]["content"] == "question 0" else ok(usage=(20, 4))

    budget = Budget(1.0)
    with MisbehavingServer(script) as server:
        failure = client.failure(server.url, budget=budget)
        assert len(server.requests) == failure.attempts == 2
    assert "Attention Required!" in failure.reason
    assert failure.cost_usd == budget.spent_usd > 0


@pytest.mark.parametrize("budget", [None, Budget(1.0)])
@pytest.mark.parametrize(("refusal", "stopped_by"), REFUSALS.values(), ids=REFUSALS)
def test_what_begins_to_refuse_everything_stops_the_run_soon(
    client: Client, refusal: Behaviour, stopped_by: type[Exception], budget: Budget | None
) -> None:
    with MisbehavingServer(lambda body, number: ok() if number < 30 else refusal) as server:
        results = client(server.url, 300, concurrency=8, budget=budget)
        assert len(server.requests) <= 30 + 8 + 4
    assert {type(result) for result in results[60:]} == {stopped_by}


@pytest.mark.parametrize("refusal", [refusal for refusal, _ in REFUSALS.values()], ids=REFUSALS)
def test_a_doubt_that_stays_is_that_one_calls(client: Client, refusal: Behaviour) -> None:
    with MisbehavingServer([refusal, server_error(500)]) as server:
        (first, *others) = client(server.url, 4, concurrency=1)
    assert isinstance(first, CallFailed)
    assert {type(result) for result in others} == {Completion}


QUOTES = [
    "the input says 'I lost my invalid API key'",
    "rejected input: my credit balance is too low now",
    'bad text "it hit the context length of my grammar and schema"',
    "cannot read: please try again in 500s",
    "not allowed: 'api key'",
]


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("message", QUOTES)
def test_what_an_error_quotes_of_the_text_decides_nothing(client: Client, message: str, status: int) -> None:
    text = "I lost my invalid API key. my credit balance is too low now; it hit the context length of my grammar and "
    prompt = [{"role": "user", "content": f"{text} schema. Please try again in 500s."}]
    schema = {"type": "object"}

    def script(body: dict[str, Any], number: int) -> Behaviour:
        return error(status, message) if len(server.requests) == 2 else ok()

    with MisbehavingServer(script) as server:

        async def ask() -> list[Any]:
            from efficient_empathy.llm import Endpoint

            async with Endpoint(server.url, "gpt-4o", sleep=client.sleep) as endpoint:
                asked: list[Any] = [await endpoint.complete(prompt, max_tokens=16, json_schema=schema)]
                for _ in range(2):
                    try:
                        asked.append(await endpoint.complete(prompt, max_tokens=16, json_schema=schema))
                    except CallFailed as failure:
                        asked.append(failure)
                return asked

        import asyncio

        first, failure, last = asyncio.run(ask())
    assert isinstance(first, Completion)
    assert isinstance(last, Completion)
    assert isinstance(failure, CallFailed)
    assert (failure.kind, failure.declined, failure.attempts) == ("rejected", None, 1)
    assert client.slept == []
