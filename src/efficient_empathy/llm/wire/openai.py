"""The chat completions format of OpenAI, which vLLM, llama.cpp, Ollama and most other servers speak too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from yarl import URL

from efficient_empathy.llm.wire.addresses import check_address, is_azure, other_format, plain_path
from efficient_empathy.llm.wire.contract import BadBodyError, Question, Reply, clean, model_of, no_reply, read_json
from efficient_empathy.llm.wire.server_error import ServerError, read_server_error
from efficient_empathy.llm.wire.stream import broken_stream, failed_event, join_text, read_events
from efficient_empathy.llm.wire.usage import MOST_TOKENS, Usage, dearest, is_count, usage_of

_TEMPLATE_TOKENS = 16  # more than any chat template puts around a message, or around them all
_STRUCTURED = re.compile(
    r"response_?(format|schema|mime)|json[ _-]?(schema|object|mode|output)|structured[ _-]?(output|decoding)|"
    r"guided|grammar|outlines|additionalProperties|\bschema\b",
    re.I,
)
_LOGPROBS = re.compile(r"log[ _-]?prob", re.I)
_ENDING = "/chat/completions"
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")  # of Entra ID
_UNSUPPORTED = re.compile(r"unsupported|not supported|deprecated|unrecogni[sz]ed|not permitted|unknown", re.I)
_FINISH = {
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "STOP": "stop",
    **dict.fromkeys(("safety", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII"), "content_filter"),
    **dict.fromkeys(("sensitive", "content_filtered", "refusal"), "content_filter"),
}
"""Reasons that Gemini, Zhipu and gateways give in words of their own."""


class OpenAIWire:
    """`POST {base}/chat/completions`."""

    default_url = "https://api.openai.com/v1"
    url_variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"

    def __init__(self) -> None:
        self._limit = "max_tokens"
        self._stream: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}

    def url(self, base: URL) -> URL:
        """`{base}/chat/completions`; a URL that ends so is taken as it is, the end of another request's left out."""
        other_format(base, "/messages", "anthropic")
        check_address(base)
        return base.with_path(plain_path(base).removesuffix(_ENDING) + _ENDING, keep_query=True)

    def headers(self, key: str | None, url: URL) -> dict[str, str]:
        """The key as a bearer token; Azure's keys, which are no tokens, in a header of their own."""
        if key and is_azure(url) and not _TOKEN.fullmatch(key):
            return {"api-key": key}
        return {"Authorization": f"Bearer {key}"} if key else {}

    def fields(self, model: str, question: Question) -> dict[str, Any]:
        """The request's JSON."""
        fields: dict[str, Any] = {
            "model": model,
            "messages": question.messages,
            self._limit: question.max_tokens,
            "temperature": question.temperature,
        }
        if question.json_schema is not None:
            schema = {"name": "scores", "strict": True, "schema": question.json_schema}
            fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        if question.top_logprobs is not None:
            fields |= {"logprobs": True, "top_logprobs": question.top_logprobs}
        if question.streamed:
            fields |= self._stream
        return {name: value for name, value in {**fields, **question.extra}.items() if value is not None}

    def overhead(self, fields: Mapping[str, Any]) -> int:
        """What chat templates add: at most 16 tokens a message and 16 more."""
        return _TEMPLATE_TOKENS * (len(fields["messages"]) + 1)

    def read_reply(self, body: bytes) -> Reply:
        """The first choice of a chat completion, be it whole or in a stream's parts."""
        events = read_events(body)
        reply = _assemble(events, body) if events else read_json(body)
        choices = reply.get("choices") if isinstance(reply, dict) else None
        if not choices or not isinstance(choices, list) or reply.get("error"):
            return _without_choices(reply, body)
        usage = _usage(reply.get("usage"))
        choice = choices[0] if isinstance(choices[0], dict) else {}
        if choice.get("error"):
            raise no_reply(reply, body, "the reply's first choice is an error", usage)
        message, finish = choice.get("message"), choice.get("finish_reason")
        finish = _FINISH.get(finish, finish) if isinstance(finish, str) else ""
        if message is None and finish in ("content_filter", "length"):
            message = {}  # Gemini leaves it out
        text = _text(message.get("content")) if isinstance(message, dict) else None
        if not isinstance(message, dict) or text is None or (finish == "error" and not text):
            raise no_reply(reply, body, "the reply's first choice has no message", usage)
        refusal = message.get("refusal")
        if text and usage is not None and not usage[1]:
            usage = None  # a text of no tokens
        return Reply(
            text=text,
            finish_reason=finish,
            refusal=clean(refusal) if isinstance(refusal, str) and refusal else None,
            logprobs=_logprobs(choice.get("logprobs")),
            usage=usage,
            thought=_thought(message),
            cached=(_cached(reply["usage"]), 0) if usage is not None else (0, 0),
            model=model_of(reply),
        )

    def piece(self, event: Mapping[str, Any]) -> str:
        """The content that the first choice's delta adds."""
        choices = event.get("choices")
        parts = [part for part in choices if isinstance(part, dict)] if isinstance(choices, list) else []
        delta = next((part.get("delta") for part in parts if not part.get("index")), None)
        return (_text(delta.get("content")) if isinstance(delta, dict) else None) or ""

    def read_error(self, body: bytes) -> ServerError:
        """The message, code and parameter of an error's body, in the forms that the usual servers give it."""
        return read_server_error(body)

    def declined(self, error: ServerError, fields: Mapping[str, Any]) -> str | None:
        """json_schema, logprobs, or the field that the error's words name."""
        words = f"{error.parameter} {error.words}"
        if "response_format" in fields and _STRUCTURED.search(words):
            return "json_schema"
        if "logprobs" in fields and _LOGPROBS.search(words):
            return "logprobs"
        names = [name for name in fields if name not in ("messages", "model")]
        if error.parameter in names:
            return error.parameter
        matches = [name for name in names if re.search(rf"\b{re.escape(name)}\b", words)]
        return max(matches, key=len, default=None)

    def adapt(self, error: str, declined: str | None) -> bool:
        """Whether the model wants `max_completion_tokens`, as OpenAI's reasoning models do, for `max_tokens`; or the
        server cannot stream, or not count tokens then.

        Several requests may be declined before the first is written the other way: each of them is.
        """
        renamed = declined == "max_tokens" and ("max_completion_tokens" in error or bool(_UNSUPPORTED.search(error)))
        if renamed:
            self._limit = "max_completion_tokens"
        if declined in ("stream", "stream_options"):
            self._stream = {} if declined == "stream" else {"stream": True}
            return True
        return renamed


def _without_choices(reply: Any, body: bytes) -> Reply:
    """What a body without choices comes to: a prompt that Gemini has blocked, or a `BadBodyError`."""
    usage = _usage(reply.get("usage")) if isinstance(reply, dict) else None
    blocked = reply.get("promptFeedback") if isinstance(reply, dict) else None
    if isinstance(blocked, dict) and blocked.get("blockReason"):
        counts = reply.get("usageMetadata")
        usage = usage or (usage_of(counts.get("promptTokenCount"), 0) if isinstance(counts, dict) else None)
        return Reply("", "content_filter", f"the prompt was blocked ({blocked['blockReason']})", None, usage)
    if isinstance(reply, dict) and reply.get("choices") == [] and not reply.get("error"):
        raise BadBodyError("the reply has no choices (an empty list)", usage)
    raise no_reply(reply, body, "the reply has no choices", usage)


def _assemble(events: list[dict[str, Any]], body: bytes) -> dict[str, Any]:
    """The chunks of a streamed chat completion as one. Raises `BadBodyError` for a stream without an end."""
    usage = dearest(event.get("usage") for event in events)
    if failure := failed_event(events):
        return {**failure, "usage": usage}
    message: dict[str, Any] = {}
    choice: dict[str, Any] = {"message": message}
    has_choices = False
    for event in events:
        choices = event.get("choices")
        for part in choices if isinstance(choices, list) else []:
            if not isinstance(part, dict) or part.get("index"):
                continue
            has_choices = True
            join_text(message, part.get("delta") or part.get("message"))
            choice |= {name: part[name] for name in ("finish_reason", "error") if part.get(name)}
            if isinstance(part.get("logprobs"), dict):
                join_text(choice.setdefault("logprobs", {}), part["logprobs"])
    if not has_choices:
        return events[-1]
    if "finish_reason" not in choice and b"[DONE]" not in body[-200:]:
        raise BadBodyError(broken_stream(body), _usage(usage))
    model = next((event["model"] for event in events if event.get("model")), None)
    return {"choices": [choice], "usage": usage, "model": model}


def _text(content: Any) -> str | None:
    """The text of a message's content: a string, nothing at all, or a list of parts."""
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [part.get("text", "") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return clean(content) if isinstance(content, str) else None


def _thought(message: dict[str, Any]) -> str:
    """What is sent as reasoning: by DeepSeek and llama.cpp, by vLLM and OpenRouter, and by Mistral in parts."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(text := message.get(name), str) and text:
            return clean(text)
    content = message.get("content")
    parts = [part.get("thinking") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "".join((part if isinstance(part, str) else _text(part)) or "" for part in parts)


def _usage(usage: Any) -> Usage | None:
    """What is said to be billed; None where that cannot be."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("completion_tokens_details")
    thought = details.get("reasoning_tokens") if isinstance(details, dict) else usage.get("reasoning_tokens")
    prompt, completion, total = (usage.get(f"{part}_tokens") for part in ("prompt", "completion", "total"))
    return usage_of(prompt, completion, total, thought)


def _cached(usage: dict[str, Any]) -> int:
    """Prompt tokens read from a cache: of OpenAI's details, of DeepSeek's count."""
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    return min(cached, usage["prompt_tokens"], MOST_TOKENS) if is_count(cached) else 0


def _logprobs(logprobs: Any) -> list[Any] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else None
