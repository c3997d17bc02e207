import pytest

from calling import KEY, Client
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import CallFailed, Completion, EndpointDown, EndpointNotFound, KeyRefused, QuotaExhausted
from misbehaving_server import MisbehavingServer, refusing_url
from misbehaviours import (
    Behaviour,
    error,
    insufficient_quota,
    not_found,
    ok,
    raw,
    server_error,
    unauthorized,
)


@pytest.mark.parametrize(
    ("behaviour", "exception", "words"),
    [
        (unauthorized(), KeyRefused, "MY_KEY"),
        (error(403, "country not supported"), KeyRefused, "country not supported"),
        (not_found(), EndpointNotFound, "gpt-4o.*127.0.0.1"),
        (insufficient_quota(), QuotaExhausted, "no credit"),
        (error(402, "Insufficient Balance"), QuotaExhausted, "Insufficient Balance"),
        (
            raw("", 308, Location="http://elsewhere.test/v1?key=1"),
            EndpointNotFound,
            "redirects to http://elsewhere.test",
        ),
    ],
)
def test_what_concerns_all_calls_is_told_at_once(
    client: Client, behaviour: Behaviour, exception: type[UserError], words: str
) -> None:
    with MisbehavingServer(behaviour) as server:
        results = client(server.url, 40, concurrency=4, key_name="MY_KEY")
    assert {type(result) for result in results} == {exception}
    assert len(server.requests) <= 8
    with pytest.raises(exception, match=words):
        raise results[0]


def test_a_missing_key_is_asked_for(client: Client) -> None:
    with MisbehavingServer(unauthorized()) as server:
        (result,) = client(server.url, api_key=None)
    assert isinstance(result, KeyRefused)
    assert "set OPENAI_API_KEY" in str(result)
    assert "Authorization" not in server.headers[0]


def test_a_prompt_that_moderation_flags_concerns_itself_alone(client: Client) -> None:
    with MisbehavingServer([error(403, "Your input was flagged"), ok()]) as server:
        assert client.failure(server.url).kind == "rejected"


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_a_server_that_quotes_the_key_does_not_get_it_told(client: Client, status: int) -> None:
    with MisbehavingServer(error(status, f"bad key {KEY}", code=KEY)) as server:
        (result,) = client(server.url)  # asserts that no message has it
    assert isinstance(result, Exception)
    assert KEY not in str(getattr(result, "code", ""))


def test_a_reply_that_quotes_the_key_does_not_get_it_told(client: Client) -> None:
    with MisbehavingServer([ok(f"the key is {KEY}"), raw(f"the key is {KEY}")]) as server:
        assert client.completion(server.url).text == "the key is [key]"
        assert KEY not in client.failure(server.url, max_attempts=1).reason
    assert KEY not in repr(client.endpoint)


def test_nobody_there_is_told_after_the_first_call_given_up(client: Client) -> None:
    results = client(refusing_url(), 8, concurrency=2, max_attempts=3)
    assert {type(result) for result in results} == {EndpointDown}
    assert client.endpoint.stats.requests <= 10
    assert "127.0.0.1" in str(results[0])


def test_a_host_without_an_address_is_told(client: Client) -> None:
    (result,) = client("http://nowhere.invalid/v1", max_attempts=2)
    assert isinstance(result, EndpointDown)
    assert "nowhere.invalid" in str(result)


def test_calls_given_up_in_a_row_trip_the_breaker(client: Client) -> None:
    with MisbehavingServer(server_error(503)) as server:
        results = client(server.url, 50, concurrency=2, max_attempts=2)
    kinds = [type(result) for result in results]
    assert kinds.count(CallFailed) == 9
    assert kinds.count(EndpointDown) == 41
    assert len(server.requests) <= 24


def test_one_success_between_keeps_the_breaker_shut(client: Client) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        return ok() if number % 8 == 0 else server_error(503)

    with MisbehavingServer(script) as server:
        results = client(server.url, 60, concurrency=1, max_attempts=1)
    assert {type(result) for result in results} == {CallFailed, Completion}
    assert len(server.requests) == 60
