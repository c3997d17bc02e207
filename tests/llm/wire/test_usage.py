import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.llm.wire import BadBodyError, Usage
from efficient_empathy.llm.wire.anthropic import AnthropicWire
from efficient_empathy.llm.wire.openai import OpenAIWire

MESSAGE = b'"choices": [{"message": {"content": "7 8"}, "finish_reason": "stop"}]'


def usage_in(claim: str) -> Usage | None:
    return OpenAIWire().read_reply(b"{" + MESSAGE + b', "usage": ' + claim.encode() + b"}").usage


@pytest.mark.parametrize(
    "claim",
    [
        "null", "[20, 4]", "20", "{}", '{"completion_tokens": 4}', '{"prompt_tokens": 20}',
        *(f'{{"prompt_tokens": {prompt}, "completion_tokens": 4}}'
          for prompt in ("0", "-5", "NaN", "1e999", '"20"', "20.0", "true", "null", "[20]")),
        *(f'{{"prompt_tokens": 20, "completion_tokens": {completion}}}' for completion in ("0", "-1", "NaN", '"4"')),
    ],
)  # fmt: skip
def test_a_claim_that_cannot_be_a_bill_is_none(claim: str) -> None:
    assert usage_in(claim) is None


@pytest.mark.parametrize(
    ("claim", "usage"),
    [
        ('{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24}', (20, 4)),
        ('{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 924}', (20, 904)),
        ('{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 3}', (20, 4)),
        ('{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": "no"}', (20, 4)),
        ('{"prompt_tokens": 900, "prompt_tokens": 20, "completion_tokens": 4, "completion_tokens": 1}', (900, 4)),
        (
            '{"prompt_tokens": 900, "completion_tokens": 4}, "usage": {"prompt_tokens": 2, "completion_tokens": 9}',
            (900, 9),
        ),
        ('{"prompt_tokens": 900, "completion_tokens": 4}, "usage": null', (900, 4)),
        (
            r'{"prompt_tokens": 2, "completion_tokens": 4}, "\u0075sage": {"prompt_tokens": 9, "completion_tokens": 1}',
            (9, 4),
        ),
        (r'{"\u0070rompt_tokens": 900, "prompt_tokens": 20, "completion_tokens": 4}', (900, 4)),
        (
            '{"prompt_tokens": 20, "completion_tokens": 24, "completion_tokens_details": {"reasoning_tokens": 20}}',
            (20, 24),
        ),
        (
            '{"prompt_tokens": 20, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 900}}',
            (20, 904),
        ),
        ('{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 924, "reasoning_tokens": 900}', (20, 904)),
        ('{"prompt_tokens": 1' + 40 * "0" + ', "completion_tokens": 4}', (10**15, 4)),
    ],
)
def test_of_what_is_said_twice_the_dearer_counts(claim: str, usage: Usage) -> None:
    assert usage_in(claim) == usage


def test_a_rebate_that_is_said_twice_counts_at_its_lower_value() -> None:
    claim = b'{"prompt_tokens": 20, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}'
    other = claim.replace(b"2}}", b"19}}")
    reply = OpenAIWire().read_reply(b"{" + MESSAGE + b', "usage": ' + other + b', "usage": ' + claim + b"}")
    assert reply.cached == (2, 0)


def stream(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*events,)) + b"data: [DONE]\n\n"


CHUNK = {"choices": [{"index": 0, "delta": {"content": "7 8"}, "finish_reason": "stop"}]}
BILL = {"prompt_tokens": 900, "completion_tokens": 4}


@pytest.mark.parametrize("last", [{"prompt_tokens": 0, "completion_tokens": 0}, [], None, {"prompt_tokens": 3}])
def test_the_dearest_bill_of_a_stream_counts(last: Any) -> None:
    body = stream(CHUNK, {"choices": [], "usage": BILL}, {"choices": [], "usage": last})
    assert OpenAIWire().read_reply(body).usage == (900, 4)


def test_the_dearest_counts_of_a_streamed_message_count() -> None:
    body = stream(
        {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 30, "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "7 8"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 2, "output_tokens": 3}},
    )
    assert AnthropicWire().read_reply(body).usage == (30, 9)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "error", "7 8"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "error", "message"]), inner, max_size=2)
    ),
    max_leaves=4,
)
SHAPES: tuple[Any, ...] = (
    {"choices": [{"index": 0, "message": {"content": "7 8"}, "finish_reason": "stop", "logprobs": {"content": []}}],
     "model": "m", "usage": {**BILL, "total_tokens": 904, "prompt_tokens_details": {"cached_tokens": 1}}},
    {"choices": [], "promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}},
    [CHUNK, {"choices": [], "usage": BILL}],
    {"type": "message", "content": [{"type": "text", "text": "7 8"}, {"type": "tool_use", "input": {}}],
     "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 1}},
    [{"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 30, "output_tokens": 1}}},
     {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
     {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "7 8"}},
     {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}],
    {"error": {"message": "no", "type": "t", "code": "c", "metadata": {"raw": "r"}}},
)  # fmt: skip


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*place, key))


def replaced(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    copy = value.copy()
    copy[place[0]] = replaced(value[place[0]], place[1:], other)
    return copy


@settings(max_examples=150, deadline=None)
@given(data=st.data(), shape=st.sampled_from(SHAPES), wire=st.sampled_from([OpenAIWire, AnthropicWire]))
def test_whatever_stands_anywhere_in_a_reply_it_is_read_or_refused_and_its_bill_is_one_or_none(
    data: st.DataObject, shape: Any, wire: type[OpenAIWire] | type[AnthropicWire]
) -> None:
    content = replaced(shape, data.draw(st.sampled_from([*places(shape)])), data.draw(anything))
    body = stream(*content) if isinstance(content, list) else json.dumps(content).encode()
    wire().read_error(body)
    try:
        usage = wire().read_reply(body).usage
    except BadBodyError as error:
        usage = error.usage
    assert usage is None or (usage[0] > 0 and usage[1] >= 0)
