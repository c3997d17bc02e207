import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from claude_replies import message
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.wire import WIRES, BadBodyError, Question
from efficient_empathy.llm.wire.anthropic import AnthropicWire

WIRE = AnthropicWire()
MESSAGES = [{"role": "system", "content": "Be strict."}, {"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"warmth": {"type": "integer"}}}


@pytest.mark.parametrize("base", ["https://h", "https://h/", "https://h/v1", "https://h/v1/"])
def test_a_base_url_does_with_v1_and_without(base: str) -> None:
    assert str(WIRE.url(URL(base))) == "https://h/v1/messages"
    assert WIRES.load("anthropic") is AnthropicWire


def test_the_system_s_words_stand_apart_and_the_version_goes_with_the_key() -> None:
    fields = WIRE.fields("m", Question(MESSAGES, 50))
    assert fields == {
        "model": "m",
        "system": "Be strict.",
        "messages": [MESSAGES[1]],
        "max_tokens": 50,
        "temperature": 0.0,
    }
    assert WIRE.headers("k", URL("https://h")) == {"x-api-key": "k", "anthropic-version": "2023-06-01"}


def test_json_is_asked_for_by_a_tool_that_must_be_called() -> None:
    fields = WIRE.fields("m", Question(MESSAGES, 50, json_schema=SCHEMA))
    (tool,) = fields["tools"]
    assert tool["input_schema"] == SCHEMA
    assert fields["tool_choice"] == {"type": "tool", "name": tool["name"]}
    plain = WIRE.fields("m", Question(MESSAGES, 50))
    assert len(plain["messages"]) == 1
    assert WIRE.overhead(plain) == 16 * (1 + 2), "a message, the system's words, and what stands around them all"
    assert WIRE.overhead(fields) > WIRE.overhead(plain) + 700


def test_what_the_format_lacks_is_left_out_or_refused() -> None:
    fields = WIRE.fields("m", Question(MESSAGES, 5, 0.7, extra={"seed": 3, "top_p": 1.0, "stop_sequences": ["x"]}))
    assert {"seed", "top_p"}.isdisjoint(fields)
    assert fields["stop_sequences"] == ["x"]
    with pytest.raises(UserError, match=r"^the Anthropic API gives no log-probabilities: leave --logprobs out$"):
        WIRE.fields("m", Question(MESSAGES, 5, top_logprobs=5))


@pytest.mark.parametrize(
    ("stop_reason", "finish", "refused"),
    [
        ("end_turn", "stop", False), ("tool_use", "stop", False), ("max_tokens", "length", False),
        ("model_context_window_exceeded", "length", False), ("refusal", "content_filter", True),
        ("pause_turn", "pause_turn", False), (None, "", False),
    ],
)  # fmt: skip
def test_stop_reasons_are_told_in_plain_words(stop_reason, finish: str, refused: bool) -> None:
    reply = WIRE.read_reply(message("7 8", stop_reason=stop_reason))
    assert (reply.text, reply.finish_reason, reply.refusal is not None) == ("7 8", finish, refused)


def test_a_tool_s_input_is_the_reply_and_thoughts_are_none_of_it() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    used = {"type": "tool_use", "id": "t", "name": "report", "input": {"warmth": 7, "reason": "schön"}}
    reply = WIRE.read_reply(message([thought, {"type": "text", "text": "Here:"}, used], stop_reason="tool_use"))
    assert reply.text == '{"warmth": 7, "reason": "schön"}'
    reply = WIRE.read_reply(message([thought, {"type": "text", "text": "7"}]))
    assert (reply.text, reply.thought) == ("7", "Hm.")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input_tokens": 20, "output_tokens": 4}, (20, 4)),
        ({"input_tokens": 5, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 7, "output_tokens": 4},
         (22, 4)),
        ({"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 4}, (5, 4)),
        ({"input_tokens": 10**400, "output_tokens": 4}, (10**15, 4)),
        ({"input_tokens": -1, "output_tokens": 4}, None),
        ({"input_tokens": 20}, None),
        ({"input_tokens": True, "output_tokens": 4}, None),
        ({"input_tokens": 0, "output_tokens": 4}, None),
        (None, None),
        (3, None),
    ],
)  # fmt: skip
def test_what_is_billed_is_read_where_it_can_be(usage: Any, tokens: tuple[int, int] | None) -> None:
    assert WIRE.read_reply(message("7 8", usage=usage)).usage == tokens


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"content": "7"}', b'{"content": [7]}', b"[" * 200_000, b'{"type": "error"}'],
)
def test_what_is_no_message_is_a_bad_body(body: bytes) -> None:
    with pytest.raises(BadBodyError):
        WIRE.read_reply(body)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_json_breaks_it(value: Any) -> None:
    body = json.dumps({"content": value, "usage": value, "stop_reason": value, "error": value}).encode()
    with contextlib.suppress(BadBodyError):
        assert isinstance(WIRE.read_reply(body).text, str)
    assert isinstance(WIRE.read_error(body).message, str)


def test_what_is_declined_is_named() -> None:
    fields = WIRE.fields("m", Question(MESSAGES, 50, json_schema=SCHEMA))

    def declined(words: str) -> str | None:
        body = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
        return WIRE.declined(WIRE.read_error(json.dumps(body).encode()), fields)

    assert declined("tools: Extra inputs are not permitted") == "json_schema"
    assert declined("tool_choice.type: forced calls are not supported by this model") == "json_schema"
    assert declined("`temperature` is not supported by this model") == "temperature"
    assert declined("something else") is None


LONG = "What warmth is.\n" * 300


def test_a_long_beginning_that_all_questions_share_is_marked_for_the_cache_and_nothing_of_it_is_lost() -> None:
    messages = [MESSAGES[0], {"role": "user", "content": LONG + "Hello"}]
    fields = AnthropicWire().fields("m", Question(messages, 50, shared_prefix=LONG))
    first, rest = fields["messages"][0]["content"]
    assert first["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in rest
    assert first["text"] + rest["text"] == LONG + "Hello"
    (system,) = AnthropicWire().fields("m", Question([{"role": "system", "content": LONG}, MESSAGES[1]], 50))["system"]
    assert (system["text"], system["cache_control"]) == (LONG, {"type": "ephemeral"})
    assert "cache_control" not in str(AnthropicWire().fields("m", Question(MESSAGES, 50, shared_prefix="Hel")))


def test_a_server_that_takes_no_mark_for_its_cache_gets_none() -> None:
    wire, question = AnthropicWire(), Question([{"role": "system", "content": LONG}, MESSAGES[1]], 50)
    error = wire.read_error(b'{"error": {"message": "system.0.cache_control: Extra inputs are not permitted"}}')
    declined = wire.declined(error, wire.fields("m", question))
    assert wire.adapt(error.message, declined)
    assert wire.fields("m", question)["system"] == LONG


def test_what_a_cache_had_or_got_is_counted() -> None:
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 7, "output_tokens": 4}
    reply = WIRE.read_reply(message("7 8", usage=usage))
    assert (reply.usage, reply.cached) == ((22, 4), (7, 10))
