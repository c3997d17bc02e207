"""What 429s cost a call: patience, not attempts."""

import pytest

from calling import Client
from efficient_empathy.llm import CallFailed, EndpointDown
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok, server_error, too_many_requests


@pytest.mark.parametrize("refused_s", [20, 200])
def test_a_server_that_is_busy_for_a_while_fails_no_call(client: Client, refused_s: float) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        return too_many_requests() if sum(client.slept) < refused_s else ok()

    with MisbehavingServer(script) as server:
        answer = client.completion(server.url, max_attempts=1)
    assert answer.attempts == len(client.slept) + 1
    assert max(client.slept) <= 60


def test_a_server_that_stays_busy_is_given_up_within_the_patience(client: Client) -> None:
    with MisbehavingServer(too_many_requests()) as server:
        failure = client.failure(server.url, patience_s=100.0)
    assert failure.kind == "rate_limited"
    assert failure.attempts == len(client.slept) + 1
    assert 30 < sum(client.slept) <= 100


def test_the_default_patience_is_ten_minutes(client: Client) -> None:
    with MisbehavingServer(too_many_requests(retry_after="119")) as server:
        assert client.failure(server.url).attempts == 6  # five waits of 119 to 119.5 s


def test_other_faults_between_still_count_as_attempts(client: Client) -> None:
    script = [too_many_requests(), server_error(), too_many_requests(), too_many_requests(), server_error()]
    with MisbehavingServer(script) as server:
        failure = client.failure(server.url, max_attempts=2)
    assert (failure.kind, failure.attempts) == ("server_error", 5)


def test_calls_given_up_in_a_row_trip_the_breaker(client: Client) -> None:
    with MisbehavingServer(too_many_requests()) as server:
        results = client(server.url, 30, concurrency=2, patience_s=1.0)
    kinds = [type(result) for result in results]
    assert (kinds.count(CallFailed), kinds.count(EndpointDown)) == (9, 21)
    (told,) = {str(result) for result in results if isinstance(result, EndpointDown)}
    assert "HTTP 429" in told
    assert "lower the concurrency" in told
