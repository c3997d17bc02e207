import json
import random

import pytest

from calling import KEY, Client
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import CallFailed, Completion
from misbehaving_server import MisbehavingServer
from misbehaviours import (
    Behaviour,
    content_filter,
    context_length_exceeded,
    drip,
    echo,
    empty_choices,
    endless_body,
    error,
    half_body,
    html,
    logprobs_unsupported,
    not_json,
    ok,
    raw,
    refusal,
    reset,
    response_format_unsupported,
    server_error,
    stall,
    too_many_requests,
    wrong_json,
)


def test_a_good_call(client: Client) -> None:
    with MisbehavingServer(ok("7 8", usage=(1000, 100), logprobs={"content": [{"token": "7"}]})) as server:
        answer = client.completion(server.url, call={"top_logprobs": 5, "seed": None})
    assert (answer.text, answer.finish_reason, answer.refusal, answer.attempts) == ("7 8", "stop", None, 1)
    assert (answer.prompt_tokens, answer.completion_tokens) == (1000, 100)
    assert answer.cost_usd == pytest.approx(0.0035)
    assert answer.logprobs == [{"token": "7"}]
    assert 0 < answer.latency_s < 5
    assert server.requests == [
        {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "question 0"}],
            "max_tokens": 16,
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": 5,
        }
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_every_call_gets_its_own_answer_within_the_window(client: Client) -> None:
    with MisbehavingServer(echo(), latency_s=0.01) as server:
        answers = client(server.url, 60, concurrency=8)
    assert [answer.text for answer in answers] == [f"question {number}" for number in range(60)]
    assert server.max_concurrent == 8
    assert client.endpoint.stats.requests == client.endpoint.stats.successes == 60


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_trailing_slash_makes_no_difference(client: Client, slash: str) -> None:
    with MisbehavingServer() as server:
        assert client.completion(server.url + slash).text == "7 8"


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (too_many_requests(), "rate_limited"),
        (server_error(500), "server_error"),
        (error(409, "conflict"), "server_error"),
        (reset(), "connection"),
        (half_body(), "bad_body"),
        (endless_body(), "bad_body"),
        (not_json(), "bad_body"),
        (wrong_json(), "bad_body"),
        (empty_choices(), "bad_body"),
        (stall(), "timeout"),
        (drip(), "timeout"),
    ],
)
def test_a_fault_is_tried_again_and_told_by_its_kind_when_it_stays(
    client: Client, behaviour: Behaviour, kind: str
) -> None:
    timeout_s = 0.2 if kind == "timeout" else 5.0
    with MisbehavingServer([behaviour, behaviour, ok("4 5")]) as server:
        answer = client.completion(server.url, timeout_s=timeout_s)
        assert (answer.text, answer.attempts) == ("4 5", 3)
    assert client.endpoint.stats.failures == {kind: 2}
    assert client.endpoint.stats.retries == len(client.slept) == 2
    with MisbehavingServer(behaviour) as server:
        failure = client.failure(server.url, timeout_s=timeout_s, max_attempts=3, patience_s=0.0)
        attempts = 1 if kind == "rate_limited" else 3
        assert (failure.kind, failure.attempts, len(server.requests)) == (kind, attempts, attempts)


def test_retry_after_is_honoured_with_the_slot_released(client: Client) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        return too_many_requests(retry_after="30") if number == 0 else ok()

    with MisbehavingServer(script) as server:
        answers = client(server.url, 5, concurrency=1)
    assert all(isinstance(answer, Completion) for answer in answers)
    assert len(client.slept) == 1
    assert 30 <= client.slept[0] <= 30.5
    asked = [body["messages"][0]["content"] for body in server.requests]
    assert asked[:2] == ["question 0", "question 1"]
    assert sorted(asked) == ["question 0", "question 0", "question 1", "question 2", "question 3", "question 4"]


def test_the_window_shrinks_under_refusals_and_every_call_is_answered(client: Client) -> None:
    with MisbehavingServer([too_many_requests()] * 30) as server:
        answers = client(server.url, 200, concurrency=32, max_attempts=1)
    assert all(answer.text == "7 8" for answer in answers)
    assert client.endpoint.stats.concurrency < 32
    assert client.endpoint.stats.failures == {"rate_limited": 30}


def test_every_call_ends_whatever_the_server_does(client: Client) -> None:
    good = ok("3 4")
    bad = [too_many_requests("1"), server_error(502), reset(), half_body(), endless_body(), html(), empty_choices()]
    rng = random.Random(3)
    script = [rng.choice([*bad, *[good] * 7]) for _ in range(400)] + [stall()] * 3
    with MisbehavingServer([*script, *[good] * 600]) as server:
        results = client(server.url, 300, concurrency=16, max_attempts=4, timeout_s=3.0)
    answers = [result for result in results if isinstance(result, Completion)]
    failures = [result for result in results if isinstance(result, CallFailed)]
    assert len(answers) + len(failures) == 300
    assert len(answers) > 270
    assert {answer.text for answer in answers} == {"3 4"}
    assert all(failure.attempts >= 4 for failure in failures)
    assert client.endpoint.stats.requests == len(server.requests) == 300 + client.endpoint.stats.retries


def test_a_refusal_and_a_held_back_reply_are_answers(client: Client) -> None:
    with MisbehavingServer([refusal(), content_filter()]) as server:
        assert client.completion(server.url).refusal == "I'm sorry, I can't help with that."
        answer = client.completion(server.url)
        assert (answer.text, answer.finish_reason) == ("", "content_filter")


def test_a_context_too_long_is_told_at_once(client: Client) -> None:
    with MisbehavingServer(context_length_exceeded()) as server:
        failure = client.failure(server.url)
    assert (failure.kind, failure.code, len(server.requests)) == ("too_long", "context_length_exceeded", 1)
    assert "maximum context length" in failure.reason


@pytest.mark.parametrize(
    ("behaviour", "declined"),
    [
        (response_format_unsupported(), "json_schema"),
        (error(400, "json_schema is not supported"), "json_schema"),
        (raw('{"detail": "guided decoding is off"}', 422), "json_schema"),
        (logprobs_unsupported(), "logprobs"),
        (error(400, "Unsupported value: 'temperature' must be 1"), "temperature"),
        (error(400, "no", code="content_filter"), None),
    ],
)
def test_a_rejection_names_the_field_that_it_is_about(
    client: Client, behaviour: Behaviour, declined: str | None
) -> None:
    with MisbehavingServer(behaviour) as server:
        options = {"json_schema": {"type": "object"}, "top_logprobs": 5, "temperature": 0.7}
        failure = client.failure(server.url, call=options)
    assert (failure.kind, failure.declined, failure.attempts) == ("rejected", declined, 1)


def test_a_model_that_wants_another_name_for_the_limit_gets_it(client: Client) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return error(400, message, param="max_tokens") if "max_tokens" in body else ok()

    with MisbehavingServer(script) as server:
        answer = client.completion(server.url)
    assert (answer.text, answer.attempts, client.slept) == ("7 8", 2, [])
    assert server.requests[-1]["max_completion_tokens"] == 16


@pytest.mark.parametrize("url", ["", "localhost:8000/v1", "ftp://host/v1", "http://", "http://me:pass@host/v1"])
def test_a_base_url_that_is_none_is_refused(client: Client, url: str) -> None:
    with pytest.raises(UserError, match="base URL") as caught:
        client(url)
    assert "pass@" not in str(caught.value)


def test_a_request_of_any_text_is_valid_json(client: Client) -> None:
    text = "naïve \ud800 \x00 😀"
    with MisbehavingServer() as server:
        client.completion(server.url, call={"user": text})
    assert json.loads(json.dumps(server.requests[0]))["user"] == "naïve ? \x00 😀"


def test_a_schema_that_no_reply_has_come_with_is_tried_twice_where_who_asks_can_do_without(client: Client) -> None:
    schema = {"json_schema": {"type": "object"}}
    with MisbehavingServer(server_error(500)) as server:
        failure = client.failure(server.url, call={**schema, "schema_is_optional": True}, max_attempts=5)
        assert (failure.attempts, failure.suspected, failure.declined) == (2, True, "json_schema")
        failure = client.failure(server.url, call=schema, max_attempts=5)
        assert (failure.attempts, failure.suspected, failure.declined) == (5, False, None)
    with MisbehavingServer(server_error(503)) as server:
        assert client.failure(server.url, call={**schema, "schema_is_optional": True}, max_attempts=5).attempts == 5
