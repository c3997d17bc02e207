"""What servers say when there is no reply, in each vendor's own words, and what becomes of the calls."""

import json
from typing import Any

import pytest

from calling import Client
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Completion, EndpointDown, EndpointNotFound, KeyRefused, QuotaExhausted
from efficient_empathy.llm.errors import NotTheJudge
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, completion, error, ok, raw


def says(status: int, body: Any, **headers: str) -> Behaviour:
    return raw(json.dumps(body), status, **headers)


WRONG_KEYS = {
    "OpenAI": says(401, {"error": {"message": "Incorrect API key provided: no**ne.", "code": "invalid_api_key"}}),
    "Azure": says(401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key."}}),
    "Azure by token": says(401, {"statusCode": 401, "message": "Unauthorized. Access token is missing, invalid …"}),
    "Gemini": says(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
                                    "status": "INVALID_ARGUMENT"}}]),
    "Gemini by reason": says(400, [{"error": {"code": 400, "message": "Bad request.", "status": "INVALID_ARGUMENT",
                                              "details": [{"reason": "API_KEY_INVALID"}]}}]),
    "Gemini without": says(403, {"error": {"code": 403, "message": "Method doesn't allow unregistered callers",
                                           "status": "PERMISSION_DENIED"}}),
    "Anthropic": says(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid"}}),
    "OpenRouter": says(401, {"error": {"message": "No auth credentials found", "code": 401}}),
    "Mistral": says(401, {"message": "Unauthorized", "request_id": "r"}),
    "Mistral in detail": says(401, {"detail": "Unauthorized"}),
    "Cohere": says(401, {"message": "invalid api token"}),
    "Groq": says(401, {"error": {"message": "Invalid API Key", "type": "invalid_request_error"}}),
    "Together": says(401, {"id": "1", "error": {"message": "Invalid API key provided.", "param": None}}),
    "Hugging Face": says(401, {"error": "Invalid credentials in Authorization header"}),
    "xAI": says(400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: x***y."}),
    "vLLM": says(401, {"error": "Unauthorized"}),
    "llama.cpp": says(401, {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}),
    "LiteLLM": says(400, {"error": {"message": "Authentication Error, Invalid proxy server token passed",
                                    "type": "auth_error", "code": "400"}}),
    "nginx": raw("<html><title>401 Authorization Required</title></html>", 401, content_type="text/html"),
    "within 200": says(200, {"error": {"message": "User not found.", "code": 401}}),
    "MiniMax": says(200, {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail: api secret"}}),
    "Cloudflare": says(200, {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}),
}  # fmt: skip


@pytest.mark.parametrize("vendor", WRONG_KEYS)
def test_a_wrong_key_stops_all_calls_in_any_vendors_words(client: Client, vendor: str) -> None:
    with MisbehavingServer(WRONG_KEYS[vendor]) as server:
        results = client(server.url, 100, concurrency=4, key_name="MY_KEY")
        assert len(server.requests) <= 8
    assert {type(result) for result in results} == {KeyRefused}
    assert "refuses the key" in str(results[0])
    assert "set MY_KEY" in str(results[0])


NO_CREDIT = {
    "DeepSeek": says(402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}),
    "OpenAI": error(429, "You exceeded your current quota", code="insufficient_quota"),
    "OpenRouter in 200": says(200, {"error": {"code": 402, "message": "This request requires more credits"}}),
    "Anthropic": says(400, {"type": "error", "error": {"type": "x", "message": "Your credit balance is too low"}}),
    "DashScope": says(400, {"code": "Arrearage", "message": "Access denied, account is not in good standing."}),
}


@pytest.mark.parametrize("vendor", NO_CREDIT)
def test_an_empty_account_stops_all_calls(client: Client, vendor: str) -> None:
    with MisbehavingServer(NO_CREDIT[vendor]) as server:
        (result,) = client(server.url)
    assert isinstance(result, QuotaExhausted)


NO_MODEL = {
    "Ollama": says(404, {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}}),
    "OpenRouter": says(400, {"error": {"message": "gpt-4o is not a valid model ID", "code": 400}}),
    "DeepSeek": says(400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}}),
    "Mistral": says(400, {"object": "error", "message": "Invalid model: gpt-4o", "code": "1500"}),
    "LM Studio": says(200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
}


@pytest.mark.parametrize("vendor", NO_MODEL)
def test_a_model_or_a_path_that_is_not_there_stops_all_calls(client: Client, vendor: str) -> None:
    with MisbehavingServer(NO_MODEL[vendor]) as server:
        (result,) = client(server.url)
    assert isinstance(result, EndpointNotFound)
    assert 'no chat model "gpt-4o"' in str(result)


RATE_LIMITS = {
    "in a list": [{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}],
    "in a choice": {"choices": [{"index": 0, "error": {"code": 429, "message": "upstream"}, "finish_reason": "error"}]},
    "as object error": {"object": "error", "message": "rate", "type": "rate_limit_error", "code": None},
    "as a text": {"error": "Rate limit reached for requests"},
    "by its code alone": {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
    "as msg": {"code": 429, "msg": "slow down"},
}


@pytest.mark.parametrize("form", RATE_LIMITS)
def test_an_error_in_a_success_is_waited_for_as_its_code_says_and_costs_nothing(client: Client, form: str) -> None:
    with MisbehavingServer([says(200, RATE_LIMITS[form])] * 7) as server:
        answer = client.completion(server.url, max_attempts=1)
    assert client.endpoint.stats.failures == {"rate_limited": 7}
    assert answer.cost_usd == pytest.approx(20 * 2.5e-6 + 4 * 1e-5)


def test_an_error_in_a_success_costs_the_usage_that_it_says(client: Client) -> None:
    body = {
        "error": {"code": 502, "message": "provider died"},
        "usage": {"prompt_tokens": 1000, "completion_tokens": 1},
    }
    with MisbehavingServer(says(200, body)) as server:
        failure = client.failure(server.url, max_attempts=2)
    assert (failure.kind, failure.attempts) == ("server_error", 2)
    assert failure.cost_usd == pytest.approx(2 * (1000 * 2.5e-6 + 1e-5))


FILTERED = {
    "Azure": error(400, "The response was filtered due to the prompt", code="content_filter"),
    "Azure inside": says(400, {"error": {"code": None, "message": "no", "innererror": {
        "code": "ResponsibleAIPolicyViolation"}}}),
    "OpenAI": error(400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy"),
    "OpenRouter": says(403, {"error": {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["x"]}}}),
    "DashScope": says(400, {"code": "data_inspection_failed", "message": "Input data may be improper"}),
    "in 200": says(200, {"error": {"message": "blocked by our content policy"}}),
}  # fmt: skip


@pytest.mark.parametrize("vendor", FILTERED)
def test_a_filtered_request_is_about_itself_and_asked_once(client: Client, vendor: str) -> None:
    with MisbehavingServer(FILTERED[vendor]) as server:
        results = client(server.url, 30, concurrency=4)
        assert len(server.requests) == 30
    assert {result.code for result in results} == {"content_filter"}


@pytest.mark.parametrize(
    "loading",
    [
        says(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
        says(503, {"error": "Model meta/llama is currently loading", "estimated_time": 20.0}),
        says(500, {"error": {"message": "llm server loading model", "type": "api_error"}}),
        says(200, {"error": {"message": "The model is starting up", "code": 503}}),
        raw("Model not ready", 503, content_type="text/plain"),
    ],
)
def test_a_model_that_is_being_loaded_is_waited_for_and_said_once(client: Client, loading: Behaviour) -> None:
    notices: list[str] = []

    def script(body: dict[str, Any], number: int) -> Behaviour:
        return loading if sum(client.slept) < 300 else ok()

    with MisbehavingServer(script) as server:
        results = client(server.url, 8, concurrency=8, max_attempts=2, notify=notices.append)
    assert {type(result) for result in results} == {Completion}
    assert len(notices) == 1
    assert "is loading its model: waiting" in notices[0]
    assert client.endpoint.stats.concurrency == 8


def test_a_model_that_never_is_loaded_is_given_up_after_ten_minutes(client: Client) -> None:
    with MisbehavingServer(error(503, "Loading model")) as server:
        results = client(server.url, 20, concurrency=2)
    assert {type(result) for result in results} == {EndpointDown}
    assert "still loads its model" in str(results[0])
    assert sum(client.slept) > 500


PAGE = "<html><title>Sign in to Airport WiFi</title></html>"


@pytest.mark.parametrize("status", [200, 403, 511])
def test_a_page_in_the_models_place_is_named_by_its_title(client: Client, status: int) -> None:
    with MisbehavingServer(raw(PAGE, status, content_type="text/html")) as server:
        results = client(server.url, 20, concurrency=2, max_attempts=2)
    assert {type(result) for result in results} == {NotTheJudge}
    assert f"a web page answers in place of {server.url}" in str(results[0])
    assert "“Sign in to Airport WiFi”" in str(results[0])


def test_a_page_in_the_middle_is_that_calls_failure(client: Client) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return raw(PAGE, 403, content_type="text/html") if number == 5 else ok()

    with MisbehavingServer(script) as server:
        results = client(server.url, 10, concurrency=1)
    assert [type(result) for result in results].count(Completion) == 9


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_is_declined_after_successes_is_about_the_one_request(client: Client, status: int) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return error(status, "not this one") if number % 3 == 2 else ok()

    with MisbehavingServer(script) as server:
        results = client(server.url, 60, concurrency=1)
    assert [type(result) for result in results].count(Completion) == 40


@pytest.mark.parametrize(
    "trouble",
    [error(400, "Unknown parameter: messages[0].content"), error(422, "no"), raw("[]"), says(200, {"status": "fine"})],
)
def test_one_failure_again_and_again_without_a_success_stops_the_run(client: Client, trouble: Behaviour) -> None:
    with MisbehavingServer(trouble) as server:
        results = client(server.url, 300, concurrency=16, max_attempts=1)
        assert len(server.requests) <= 2 * 16
    down = [result for result in results if isinstance(result, EndpointDown)]
    assert len(down) >= 300 - 16
    assert "answers no call, 16 calls in a row failed" in str(down[0])


def test_requests_that_are_too_long_stop_nothing(client: Client) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return error(400, "the request exceeds the available context size") if number < 50 else ok()

    with MisbehavingServer(script) as server:
        results = client(server.url, 60, concurrency=2)
    assert [getattr(result, "kind", "ok") for result in results].count("too_long") == 50


@pytest.mark.parametrize(
    ("reply", "remedy"),
    [
        ({"type": "message", "content": [{"type": "text", "text": "7 8"}]}, "use the judge anthropic"),
        ({"candidates": [{"content": {"parts": [{"text": "7 8"}]}}]}, "/v1beta/openai"),
        ({"object": "response", "output": []}, "responses format"),
        ({"model": "x", "message": {"content": "7 8"}, "done": True}, "11434/v1"),
        ({"choices": [{"text": "7 8"}]}, "chat completions"),
    ],
)
def test_a_reply_in_another_format_is_named(client: Client, reply: dict[str, Any], remedy: str) -> None:
    with MisbehavingServer(says(200, reply)) as server:
        results = client(server.url, 20, concurrency=1, max_attempts=2)
    assert {type(result) for result in results} == {NotTheJudge}
    assert remedy in str(results[0])


def test_a_server_that_switches_to_another_format_in_the_middle_fails_those_calls_in_words(client: Client) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return ok() if number < 5 else says(200, {"type": "message", "content": [{"type": "text", "text": "7 8"}]})

    with MisbehavingServer(script) as server:
        results = client(server.url, 12, concurrency=1, max_attempts=1)
    assert [type(result) for result in results].count(Completion) == 5
    assert "a message in Anthropic's format" in results[-1].reason


def test_a_temperature_of_zero_is_left_out_where_the_model_has_none(client: Client) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return error(400, "`temperature` is deprecated for this model.") if "temperature" in body else ok()

    with MisbehavingServer(script) as server:
        results = client(server.url, 40, concurrency=8)
        assert {type(result) for result in results} == {Completion}
        assert client.failure(server.url, call={"temperature": 0.7}).declined == "temperature"


@pytest.mark.parametrize(
    "words", ["Unsupported parameter: use max_completion_tokens", "max_tokens is not supported with this model"]
)
def test_the_limit_has_its_other_name_where_the_model_wants_it(client: Client, words: str) -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return error(400, words, param="max_tokens") if "max_tokens" in body else ok()

    with MisbehavingServer(script) as server:
        assert client.completion(server.url).attempts == 2
        assert server.requests[-1]["max_completion_tokens"] == 16


def test_a_limit_that_is_too_high_is_not_renamed(client: Client) -> None:
    with MisbehavingServer(error(400, "max_tokens is too large: 16. This model allows at most 8")) as server:
        assert client.failure(server.url).declined == "max_tokens"
        assert len(server.requests) == 1


def test_a_server_of_tls_says_so(client: Client) -> None:
    page = "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"
    with MisbehavingServer(raw(page, 400, content_type="text/html")) as server:
        (result,) = client(server.url)
    assert isinstance(result, UserError)
    assert "give the base URL with https://" in str(result)


def test_what_a_gateway_passes_on_of_its_provider_is_told(client: Client) -> None:
    body = {"error": {"code": 400, "message": "Provider returned error", "metadata": {"raw": "top_k must be positive"}}}
    with MisbehavingServer(says(400, body)) as server:
        assert "top_k must be positive" in client.failure(server.url).reason


def test_the_input_that_a_validation_repeats_is_not_taken_for_words_of_the_server(client: Client) -> None:
    fault = {"loc": ["body", "seed"], "msg": "not an integer", "input": "I lost my API key and my credentials"}
    with MisbehavingServer(says(422, {"detail": [fault]})) as server:
        assert client.failure(server.url).reason == "HTTP 422: body.seed: not an integer"


def test_a_reply_with_a_null_error_beside_it_is_a_reply(client: Client) -> None:
    body = {**json.loads(completion("7 8")), "error": None}
    with MisbehavingServer(says(200, body)) as server:
        assert client.completion(server.url).text == "7 8"
