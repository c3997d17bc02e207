"""Headers and further fields from settings, and which key goes where."""

import asyncio
from typing import Any

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Completion
from efficient_empathy.llm.connection import address_of, connect
from efficient_empathy.llm.settings import public_url
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, error, ok, raw

QUESTION = [{"role": "user", "content": "?"}]


def ask(url: str, **options: Any) -> Completion:
    async def run() -> Completion:
        async with connect("openai", url, "gpt-4o", **options) as endpoint:
            return await endpoint.complete(QUESTION, max_tokens=5)

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-0123456789")
    monkeypatch.setenv("MY_KEY", "my-key-0123456789")
    monkeypatch.setenv("REFERER", "https://mine.test")
    monkeypatch.delenv("UNSET", raising=False)


def sent(**options: Any) -> tuple[dict[str, str], dict[str, Any]]:
    with MisbehavingServer() as server:
        ask(server.url, **options)
    return {name.lower(): value for name, value in server.headers[0].items()}, server.requests[0]


def test_a_header_that_says_who_asks_stands_in_place_of_the_key() -> None:
    headers, _ = sent(headers={"api-key": "MY_KEY"})
    assert headers["api-key"] == "my-key-0123456789"
    assert "authorization" not in headers


def test_another_header_goes_beside_the_key() -> None:
    headers, _ = sent(headers={"HTTP-Referer": "REFERER"})
    assert headers["http-referer"] == "https://mine.test"
    assert headers["authorization"] == "Bearer sk-of-openai-0123456789"


def test_a_header_of_the_formats_own_name_replaces_it() -> None:
    headers, _ = sent(headers={"authorization": "MY_KEY"}, api_key_env="OPENAI_API_KEY")
    assert headers["authorization"] == "my-key-0123456789"


def test_further_fields_go_into_every_request() -> None:
    _, body = sent(extra_body={"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}})
    assert body["reasoning_effort"] == "low"
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_variable_that_is_not_set_is_named_and_what_may_be_a_key_is_not() -> None:
    with pytest.raises(UserError, match="UNSET of --header api-key=… is not set"):
        connect("openai", "http://h.test/v1", "m", headers={"api-key": "UNSET"})
    with pytest.raises(UserError) as caught:
        connect("openai", "http://h.test/v1", "m", headers={"api-key": "a1b2c3d4e5f6a7b8"})
    assert "a1b2c3d4e5f6a7b8" not in str(caught.value)


def test_a_refused_header_is_put_right_by_its_own_variable() -> None:
    def script(body: dict[str, Any], number: int) -> Behaviour:
        return error(401, "bad my-key-0123456789")

    with MisbehavingServer(script) as server, pytest.raises(UserError) as caught:
        ask(server.url, headers={"api-key": "MY_KEY"})
    assert "set MY_KEY" in str(caught.value)
    assert "my-key-0123456789" not in str(caught.value)


def test_azures_words_name_its_header() -> None:
    words = '{"statusCode": 401, "message": "audience is incorrect (https://cognitiveservices.azure.com)"}'
    with MisbehavingServer(raw(words, 401)) as server, pytest.raises(UserError) as caught:
        ask(server.url)
    assert "--header api-key=OPENAI_API_KEY" in str(caught.value)


def test_a_field_that_the_server_does_not_take_is_named() -> None:
    with MisbehavingServer(error(400, "Unrecognized request argument supplied: top_k")) as server:
        with pytest.raises(UserError, match=r"does not take top_k .* leave it out of the extra body"):
            ask(server.url, extra_body={"top_k": 5})
        assert len(server.requests) == 1


def test_a_value_that_a_reply_repeats_is_hidden() -> None:
    with MisbehavingServer(ok("the key is my-key-0123456789")) as server:
        assert ask(server.url, headers={"x-anything": "MY_KEY"}).text == "the key is [key]"


def test_what_files_keep_of_a_url_has_azures_version_and_no_secret() -> None:
    url = "https://u:p@h.test/openai/deployments/d?key=secret&model=m&api-version=2024-10-21#x"
    assert public_url(url) == "https://h.test/openai/deployments/d?api-version=2024-10-21&model=m"
    assert public_url("https://h.test/v1") == "https://h.test/v1"


def test_one_place_has_one_address_and_every_other_its_own() -> None:
    same = ["http://H.test:80/v1?key=a", "http://h.test/v1/", "http://h.test/v1/chat/completions?key=b"]
    assert {address_of("openai", url) for url in same} == {"http://h.test/v1/chat/completions"}
    others = [
        "https://h.test/v1", "http://h.test:81/v1", "http://h.test/other/v1", "http://127.0.0.1/v1", "http://localhost/v1",
        "http://h.test/v1?api-version=1", "http://h.test/v1?api-version=2",
        "http://h.test/openai/deployments/a?api-version=1", "http://h.test/openai/deployments/b?api-version=1",
    ]  # fmt: skip
    assert len({address_of("openai", url) for url in [same[0], *others]}) == 1 + len(others)
    assert address_of("anthropic", "http://h.test") != address_of("openai", "http://h.test")
