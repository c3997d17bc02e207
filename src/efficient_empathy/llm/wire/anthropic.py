"""The messages format of Anthropic's API, for Claude and the servers that speak it.

Fields, stop reasons and errors as in its reference (https://docs.anthropic.com/en/api/messages and /api/errors). A
reply in JSON is asked for by a tool that the model must call: every Claude since version 3 can, and its input is
JSON that needs no reading between the lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from yarl import URL

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.wire.addresses import other_format, plain_path
from efficient_empathy.llm.wire.contract import BadBodyError, Question, Reply, clean, model_of, no_reply, read_json
from efficient_empathy.llm.wire.server_error import ServerError, read_server_error
from efficient_empathy.llm.wire.stream import broken_stream, failed_event, join_text, read_events
from efficient_empathy.llm.wire.usage import MOST_TOKENS, Usage, dearest, is_count, usage_of

_VERSION = "2023-06-01"
_TOOL = "report"
_TEMPLATE_TOKENS = 16
_TOOL_TOKENS = 1024  # the system prompt that a forced tool adds is under 700 tokens for every model so far
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_TOOLS = re.compile(r"\btools?\b|\btool_choice\b|input_schema", re.I)
_LEAST_CACHED = 4096  # characters, about 1,024 tokens; a mark on a beginning that is too short costs nothing
_CACHE = {"cache_control": {"type": "ephemeral"}}
_ABSENT = ("seed", "n")
"""Options that the format does not have: a request without them means the same, less repeatably."""


class AnthropicWire:
    """`POST {base}/v1/messages`."""

    default_url = "https://api.anthropic.com"
    url_variable = "ANTHROPIC_BASE_URL"
    key_variable = "ANTHROPIC_API_KEY"

    def __init__(self) -> None:
        self._caches = self._streams = True

    def url(self, base: URL) -> URL:
        """`{base}/v1/messages`; what of it a base URL ends in already is taken as it is."""
        other_format(base, "/chat/completions", "openai")
        path = plain_path(base).removesuffix("/messages").removesuffix("/v1")
        return base.with_path(f"{path}/v1/messages", keep_query=True)

    def headers(self, key: str | None, url: URL) -> dict[str, str]:
        """The key, and the version of the format."""
        return {**({"x-api-key": key} if key else {}), "anthropic-version": _VERSION}

    def fields(self, model: str, question: Question) -> dict[str, Any]:
        """The request's JSON. Raises `UserError` for log-probabilities, which the format does not have."""
        if question.top_logprobs is not None:
            raise UserError("the Anthropic API gives no log-probabilities: leave --logprobs out")
        extra = {name: value for name, value in question.extra.items() if name not in _ABSENT}
        if extra.get("top_p") == 1:
            del extra["top_p"]  # newer models take temperature or top_p, not both
        system = "\n\n".join(str(m["content"]) for m in question.messages if m["role"] == "system")
        fields: dict[str, Any] = {
            "model": model,
            **self._cacheable(system, [m for m in question.messages if m["role"] != "system"], question.shared_prefix),
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
        }
        if question.streamed and self._streams:
            fields["stream"] = True
        if question.json_schema is not None:
            described = "Report the answer in the form that was asked for."
            fields["tools"] = [{"name": _TOOL, "description": described, "input_schema": question.json_schema}]
            fields["tool_choice"] = {"type": "tool", "name": _TOOL}
        return {name: value for name, value in {**fields, **extra}.items() if value is not None}

    def _cacheable(self, system: str, messages: list[Any], prefix: str) -> dict[str, Any]:
        """System and messages, with a mark where what all questions share ends, if that is long enough to be cached."""
        plain = {"system": system or None, "messages": messages}
        if not self._caches or len(system) + len(prefix) < _LEAST_CACHED:
            return plain
        content = messages[-1]["content"] if messages else None
        if prefix and isinstance(content, str) and content.startswith(prefix) and len(content) > len(prefix):
            blocks = [{**_block(prefix), **_CACHE}, _block(content[len(prefix) :])]
            return plain | {"messages": [*messages[:-1], {**messages[-1], "content": blocks}]}
        return plain | {"system": [{**_block(system), **_CACHE}]} if len(system) >= _LEAST_CACHED else plain

    def overhead(self, fields: Mapping[str, Any]) -> int:
        """16 tokens a message and 32 more, and what a forced tool adds."""
        return _TEMPLATE_TOKENS * (len(fields["messages"]) + 2) + (_TOOL_TOKENS if "tools" in fields else 0)

    def read_reply(self, body: bytes) -> Reply:
        """A message's text, or the input of the tool that it calls, as JSON; what the model thinks is kept apart."""
        events = read_events(body)
        reply = _assemble(events, body) if events else read_json(body)
        content = reply.get("content") if isinstance(reply, dict) and reply.get("type") != "error" else None
        usage = _usage(reply.get("usage")) if isinstance(reply, dict) else None
        if not isinstance(content, list):
            raise no_reply(reply, body, "the reply has no content", usage)
        stop = reply.get("stop_reason")
        blocks = [block for block in content if isinstance(block, dict)]
        text = _text(blocks)
        if content and not blocks:
            raise no_reply(reply, body, "the reply's content is no list of blocks", usage)
        if text and usage is not None and not usage[1]:
            usage = None  # a text of no tokens
        finish = _FINISH.get(stop, stop) if isinstance(stop, str) else ""
        refusal = (text or "the model declined to answer") if stop == "refusal" else None
        thoughts = [block.get("thinking") for block in blocks if block.get("type") == "thinking"]
        thought = clean("".join(one for one in thoughts if isinstance(one, str)))
        cached = _cached(reply["usage"]) if usage else (0, 0)
        return Reply(text, finish, refusal, None, usage, thought, cached, model_of(reply))

    def piece(self, event: Mapping[str, Any]) -> str:
        """The text that a block's delta adds."""
        delta = event.get("delta") if event.get("type") == "content_block_delta" else None
        text = delta.get("text") if isinstance(delta, dict) else None
        return clean(text) if isinstance(text, str) else ""

    def read_error(self, body: bytes) -> ServerError:
        """The message and type of an error's body."""
        return read_server_error(body)

    def declined(self, error: ServerError, fields: Mapping[str, Any]) -> str | None:
        """json_schema, where it is the tool; cache_control; else the field that the message names."""
        if _is_marked(fields) and ("cache_control" in error.words or "valid string" in error.words):
            return "cache_control"
        if "tools" in fields and _TOOLS.search(error.words):
            return "json_schema"
        names = [name for name in fields if name not in ("messages", "model", "system", "tools", "tool_choice")]
        return next((name for name in names if re.search(rf"\b{re.escape(name)}\b", error.words)), None)

    def adapt(self, error: str, declined: str | None) -> bool:
        """Whether the server takes no mark for its cache, and so gets none; or cannot stream."""
        self._caches = self._caches and declined != "cache_control"
        self._streams = self._streams and declined != "stream"
        return declined in ("cache_control", "stream")


def _assemble(events: list[dict[str, Any]], body: bytes) -> dict[str, Any]:
    """The events of a streamed message as one. Raises `BadBodyError` for a stream without an end."""
    message: dict[str, Any] = {}
    blocks: dict[str, dict[str, Any]] = {}
    for event in events:
        kind, index = event.get("type"), str(event.get("index", 0))
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = {**event["message"]}
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[index] = {**event["content_block"]}
        elif kind == "content_block_delta":
            _join_delta(blocks.setdefault(index, {"type": "text"}), event.get("delta"))
        elif kind == "message_delta" and isinstance(event.get("delta"), dict):
            message |= event["delta"]
    starts = (event["message"] for event in events if isinstance(event.get("message"), dict))
    usage = dearest([*(start.get("usage") for start in starts), *(event.get("usage") for event in events)])
    if failure := failed_event(events):
        return {**failure, "usage": usage}
    if not message and not blocks:
        return events[-1]
    if not message.get("stop_reason"):
        raise BadBodyError(broken_stream(body), _usage(usage))
    for block in blocks.values():
        if "partial_json" in block:
            block["input"] = block.pop("partial_json")
    return {**message, "content": list(blocks.values()), "usage": usage}


def _join_delta(block: dict[str, Any], delta: Any) -> None:
    if isinstance(delta, dict):
        join_text(block, {name: value for name, value in delta.items() if name != "type"})


def _text(blocks: list[dict[str, Any]]) -> str:
    for block in blocks:
        if block.get("type") == "tool_use":
            arguments = block.get("input")
            return clean(arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    return clean("".join(text for text in texts if isinstance(text, str)))


def _is_marked(fields: Mapping[str, Any]) -> bool:
    return isinstance(fields.get("system"), list) or any(isinstance(m["content"], list) for m in fields["messages"])


def _block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _cached(usage: dict[str, Any]) -> tuple[int, int]:
    """Prompt tokens read from the cache, and written to it."""
    read, written = (usage.get(name) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return min(read, MOST_TOKENS), min(written, MOST_TOKENS)


def _usage(usage: Any) -> Usage | None:
    """What is said to be billed, what is written to a cache or read from it among the prompt; None if it cannot be."""
    if not isinstance(usage, dict):
        return None
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counts, completion = [usage.get(name) or 0 for name in names], usage.get("output_tokens")
    return usage_of(sum(counts), completion) if all(map(is_count, counts)) else None
