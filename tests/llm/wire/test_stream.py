"""Streams that nobody asked for, in both formats."""

import json
from typing import Any

import pytest

from claude_replies import message
from efficient_empathy.llm.wire import BadBodyError
from efficient_empathy.llm.wire.anthropic import AnthropicWire
from efficient_empathy.llm.wire.openai import OpenAIWire
from misbehaviours import completion

OPENAI, CLAUDE = OpenAIWire(), AnthropicWire()


def chunk(delta: dict[str, Any], finish: str | None = None, **others: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **others}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def stream(*events: Any, end: str = "data: [DONE]\n\n", newline: str = "\n") -> bytes:
    text = ": keep-alive\n\n" + "".join(f"data: {json.dumps(event)}\n\n" for event in events) + end
    return text.replace("\n", newline).encode()


USAGE = {"prompt_tokens": 20, "completion_tokens": 4}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_parts_of_a_chat_completion_are_joined(newline: str) -> None:
    parts = [
        chunk({"role": "assistant", "content": ""}), chunk({"reasoning_content": "hm"}),
        chunk({"content": "7"}, logprobs={"content": [{"token": "7"}]}),
        chunk({"content": " 8"}, logprobs={"content": [{"token": " 8"}]}), chunk({}, "stop"),
        {"choices": [], "usage": USAGE},
    ]  # fmt: skip
    reply = OPENAI.read_reply(stream(*parts, newline=newline))
    assert (reply.text, reply.finish_reason, reply.usage, reply.thought) == ("7 8", "stop", (20, 4), "hm")
    assert reply.logprobs == [{"token": "7"}, {"token": " 8"}]


def test_who_answers_a_stream_is_told_and_parts_may_be_messages_too() -> None:
    named = {"model": "gpt-4o-2024-08-06", **chunk({"role": "assistant", "content": "7"})}
    reply = OPENAI.read_reply(stream(chunk({}), named, chunk({"role": "assistant", "content": " 8"}, "stop"), end=""))
    assert (reply.text, reply.model, reply.finish_reason) == ("7 8", "gpt-4o-2024-08-06", "stop")
    whole = {"choices": [{"index": 0, "message": {"content": "7 8"}}, {"index": 1, "delta": {"content": "9"}}]}
    assert OPENAI.read_reply(stream(whole)).text == "7 8"
    assert OPENAI.read_reply(stream(chunk({"content": "7"}))).finish_reason == "", "[DONE] is an end too"


def test_a_stream_that_ends_before_its_reply_is_no_reply_and_costs_what_it_says() -> None:
    with pytest.raises(BadBodyError, match="its stream ended before the reply did") as caught:
        OPENAI.read_reply(stream(chunk({"content": "7"}), {"choices": [], "usage": USAGE}, end=""))
    assert caught.value.usage == (20, 4)


def test_an_error_in_a_stream_is_that_error() -> None:
    broken = stream(chunk({"content": "7"}), {"error": {"code": 502, "message": "provider died"}})
    with pytest.raises(BadBodyError) as caught:
        OPENAI.read_reply(broken)
    assert caught.value.error is not None
    assert (caught.value.error.status, caught.value.error.message) == (502, "provider died")


@pytest.mark.parametrize("before", ["\ufeff", "\n\n   \n", ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"])
def test_blanks_and_comments_before_a_whole_reply_are_left_out(before: str) -> None:
    assert OPENAI.read_reply(before.encode() + completion("7 8")).text == "7 8"
    assert CLAUDE.read_reply(before.encode() + message("7 8")).text == "7 8"


def claude_stream(*deltas: tuple[str, str], block: dict[str, Any], stop: str | None = "tool_use") -> bytes:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"type": "message", "content": [], "stop_reason": None,
                                              "usage": {"input_tokens": 20, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": f"{name}_delta", name: value}}
          for name, value in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def test_the_events_of_a_message_are_joined() -> None:
    block = {"type": "tool_use", "id": "t", "name": "report", "input": {}}
    reply = CLAUDE.read_reply(claude_stream(("partial_json", '{"warmth":'), ("partial_json", " 7}"), block=block))
    assert (json.loads(reply.text), reply.finish_reason, reply.usage) == ({"warmth": 7}, "stop", (20, 4))
    text = CLAUDE.read_reply(claude_stream(("text", "7"), ("text", " 8"), block={"type": "text", "text": ""}))
    assert text.text == "7 8"


def test_a_message_may_begin_anywhere_and_come_without_blocks() -> None:
    events = claude_stream(("text", "7"), block={"type": "text", "text": ""}).decode().split("\n\n")
    assert CLAUDE.read_reply("\n\n".join(events[1:]).encode()).text == "7", "without its start"
    assert CLAUDE.read_reply("\n\n".join([events[0], *events[-3:]]).encode()).text == "", "without a block"


def test_an_error_in_the_events_of_a_message_is_that_error() -> None:
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(BadBodyError) as caught:
        CLAUDE.read_reply(f"event: error\ndata: {json.dumps(failure)}\n\n".encode())
    assert caught.value.error is not None
    assert caught.value.error.status == 529


def test_a_message_that_breaks_off_is_no_reply() -> None:
    with pytest.raises(BadBodyError, match="ended before the reply did"):
        CLAUDE.read_reply(claude_stream(("text", "7"), block={"type": "text", "text": ""}, stop=None))
