import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.llm.wire import BadBodyError
from efficient_empathy.llm.wire.contract import Question, request_body
from efficient_empathy.llm.wire.openai import OpenAIWire
from misbehaviours import completion

read_reply, read_error = OpenAIWire().read_reply, OpenAIWire().read_error


def test_a_good_reply() -> None:
    reply = read_reply(completion("7 8", usage=(20, 4), logprobs={"content": [{"token": "7", "logprob": -0.1}]}))
    assert (reply.text, reply.finish_reason, reply.refusal, reply.usage) == ("7 8", "stop", None, (20, 4))
    assert reply.logprobs == [{"token": "7", "logprob": -0.1}]


def test_content_in_parts_is_joined() -> None:
    parts: Any = [{"type": "text", "text": "7 "}, {"type": "image"}, {"type": "text", "text": "8"}]
    assert read_reply(completion(parts)).text == "7 8"


@pytest.mark.parametrize(
    "message",
    [
        {"content": "7 8", "reasoning_content": "Hm."},
        {"content": "7 8", "reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"content": [{"type": "thinking", "thinking": [{"text": "Hm."}]}, {"type": "text", "text": "7 8"}]},
        {"content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "7 8"}]},
    ],
)
def test_reasoning_is_kept_apart_from_the_text(message: dict[str, Any]) -> None:
    reply = read_reply(completion(message=message))
    assert (reply.text, reply.thought) == ("7 8", "Hm.")


@pytest.mark.parametrize("reasoning", [None, 7, [], {}, [{"text": "7"}]])
def test_reasoning_in_no_known_form_is_none(reasoning: Any) -> None:
    reply = read_reply(completion(None, message={"reasoning_content": reasoning, "reasoning": reasoning}))
    assert (reply.text, reply.thought) == ("", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{"message": "7 8"}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b"[" * 200_000,
        b'{"choices": [{"message": {"content": "7',
    ],
)
def test_what_is_no_completion_is_a_bad_body(body: bytes) -> None:
    with pytest.raises(BadBodyError):
        read_reply(body)


@pytest.mark.parametrize(
    "usage",
    [None, 3, {}, {"prompt_tokens": 3}, {"prompt_tokens": -1, "completion_tokens": 2}, (0, 4), (20, 0), (True, 1)],
)
def test_a_usage_that_cannot_be_is_no_usage(usage: Any) -> None:
    assert read_reply(completion(usage=usage)).usage is None


def test_a_usage_beyond_all_measure_counts_as_the_most() -> None:
    assert read_reply(completion(usage=(10**400, 1))).usage == (10**15, 1)


def test_an_empty_list_of_choices_still_tells_what_it_cost() -> None:
    with pytest.raises(BadBodyError) as caught:
        read_reply(b'{"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 0}}')
    assert caught.value.usage == (20, 0)


def test_a_body_that_says_nothing_is_quoted() -> None:
    with pytest.raises(BadBodyError, match=r'^the reply has no choices: \{"a": 1\}$'):
        read_reply(b'{"a": 1}')
    with pytest.raises(BadBodyError, match=r"^the reply has no choices \(an empty list\)$"):
        read_reply(b'{"choices": []}')


@pytest.mark.parametrize(
    "words", ["Use 'max_completion_tokens' instead.", "max_tokens is not supported", "Unknown parameter: max_tokens"]
)
def test_a_model_that_wants_the_limit_under_its_other_name_gets_it(words: str) -> None:
    wire = OpenAIWire()
    question = Question([{"role": "user", "content": "a"}], 16)
    assert not wire.adapt("max_tokens is too large: 10000", "max_tokens")
    assert not wire.adapt(words, "temperature")
    assert wire.fields("m", question)["max_tokens"] == 16
    assert wire.adapt(words, "max_tokens")
    fields = wire.fields("m", question)
    assert fields["max_completion_tokens"] == 16
    assert "max_tokens" not in fields


def test_a_prompt_that_gemini_blocks_is_declined_and_billed_as_it_says() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 20}}
    reply = read_reply(json.dumps(body).encode())
    assert (reply.text, reply.finish_reason, reply.refusal) == ("", "content_filter", "the prompt was blocked (SAFETY)")
    assert reply.usage == (20, 0)
    usage = {"prompt_tokens": 30, "completion_tokens": 1}
    assert read_reply(json.dumps({**body, "usage": usage}).encode()).usage == (30, 1)
    assert read_reply(json.dumps({**body, "usageMetadata": 7}).encode()).usage is None
    for feedback in ({}, {"blockReason": ""}, "SAFETY"):
        with pytest.raises(BadBodyError):
            read_reply(json.dumps({"promptFeedback": feedback}).encode())


@given(st.text(st.characters(categories=None)))
def test_any_text_goes_out_as_utf8_and_comes_back_as_text(text: str) -> None:
    sent = json.loads(request_body({"messages": [{"role": "user", "content": text}]}))
    assert sent["messages"][0]["content"] == text.encode("utf-8", "replace").decode()
    read_reply(completion(text)).text.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_some_kind(body: bytes) -> None:
    assert isinstance(read_error(body).message, str)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "too bad", "code": "x"}}', "too bad"),
        (b'{"error": "too bad"}', "too bad"),
        (b'{"detail": "too bad"}', "too bad"),
        (b'{"object": "error", "message": "too bad"}', "too bad"),
        (b'{"error": {"message": {"a": 1}}}', '{"error": {"message": {"a": 1}}}'),
        (b"too bad", "too bad"),
        (b" <html>", "an HTML page"),
    ],
)
def test_errors_are_read_in_the_usual_forms(body: bytes, message: str) -> None:
    assert read_error(body).message == message


@pytest.mark.parametrize(
    ("extra", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 12}}, 12),
        ({"prompt_cache_hit_tokens": 12}, 12),
        ({"prompt_tokens_details": {"cached_tokens": 99}}, 20),
        ({"prompt_tokens_details": None}, 0),
    ],
)
def test_what_was_read_from_a_cache_is_counted_and_never_more_than_the_prompt(extra: Any, cached: int) -> None:
    assert read_reply(completion(usage={"prompt_tokens": 20, "completion_tokens": 4, **extra})).cached == (cached, 0)
