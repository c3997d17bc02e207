"""The chat completions format of OpenAI, which vLLM, llama.cpp, Ollama and most other servers speak too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from yarl import URL

from efficient_empathy.llm.wire.contract import (
    MOST_TOKENS,
    BadBodyError,
    Question,
    Reply,
    ServerError,
    Usage,
    body_start,
    clean,
    error_of,
    is_count,
    read_json,
)

_TEMPLATE_TOKENS = 16  # more than any chat template puts around a message, or around them all
_STRUCTURED = re.compile(r"response_format|json_schema|json_object|structured output|guided|grammar", re.I)
_LOGPROBS = re.compile(r"log[ _-]?prob", re.I)


class OpenAIWire:
    """`POST {base}/chat/completions`."""

    default_url = "https://api.openai.com/v1"
    url_variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"

    def __init__(self) -> None:
        self._limit = "max_tokens"

    def url(self, base: URL) -> URL:
        """`{base}/chat/completions`."""
        return base.with_path(base.path.rstrip("/") + "/chat/completions", keep_query=True)

    def headers(self, key: str | None) -> dict[str, str]:
        """The key as a bearer token."""
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
        return {name: value for name, value in {**fields, **question.extra}.items() if value is not None}

    def overhead(self, fields: Mapping[str, Any]) -> int:
        """What chat templates add: at most 16 tokens a message and 16 more."""
        return _TEMPLATE_TOKENS * (len(fields["messages"]) + 1)

    def read_reply(self, body: bytes) -> Reply:
        """The first choice of a chat completion."""
        reply = read_json(body)
        if not isinstance(reply, dict):
            raise BadBodyError(f"the reply is not a chat completion: {body_start(body)}")
        usage = _usage(reply.get("usage"))
        choices = reply.get("choices")
        if not isinstance(choices, list):
            raise BadBodyError(f"the reply has no choices: {body_start(body)}", usage)
        if not choices:
            raise BadBodyError("the reply has no choices (an empty list)", usage)
        choice = choices[0] if isinstance(choices[0], dict) else {}
        message = choice.get("message")
        text = _text(message.get("content")) if isinstance(message, dict) else None
        if not isinstance(message, dict) or text is None:
            raise BadBodyError(f"the reply's first choice has no message: {body_start(body)}", usage)
        refusal, finish = message.get("refusal"), choice.get("finish_reason")
        if text and usage is not None and not usage[1]:
            usage = None  # a text of no tokens
        return Reply(
            text=text,
            finish_reason=finish if isinstance(finish, str) else "",
            refusal=clean(refusal) if isinstance(refusal, str) and refusal else None,
            logprobs=_logprobs(choice.get("logprobs")),
            usage=usage,
            thought=_thought(message),
        )

    def read_error(self, body: bytes) -> ServerError:
        """The message, code and parameter of an error's body, in the forms that the usual servers give it."""
        error, unreadable = error_of(body)
        if unreadable is not None:
            return unreadable
        message, parameter = error.get("message"), error.get("param")
        codes = [str(code) for code in (error.get("code"), error.get("type")) if isinstance(code, str | int)]
        return ServerError(
            message=message if isinstance(message, str) else body_start(body),
            code=codes[0] if codes else None,
            parameter=parameter if isinstance(parameter, str) else None,
        )

    def declined(self, error: ServerError, fields: Mapping[str, Any]) -> str | None:
        """json_schema, logprobs, or the field that the error's words name."""
        words = f"{error.parameter} {error.message}"
        if "response_format" in fields and _STRUCTURED.search(words):
            return "json_schema"
        if "logprobs" in fields and _LOGPROBS.search(words):
            return "logprobs"
        names = [name for name in fields if name not in ("messages", "model")]
        matches = [name for name in names if re.search(rf"\b{re.escape(name)}\b", words)]
        return max(matches, key=len, default=None)

    def adapt(self, error: str, declined: str | None) -> bool:
        """Whether the model wants `max_completion_tokens`, as OpenAI's reasoning models do, for `max_tokens`."""
        renamed = declined == "max_tokens" and "max_completion_tokens" in error
        if renamed:
            self._limit = "max_completion_tokens"
        return renamed


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
    """What is said to be billed; None where that cannot be, as with a prompt of no tokens."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (is_count(prompt) and is_count(completion) and prompt):
        return None
    return min(prompt, MOST_TOKENS), min(completion, MOST_TOKENS)


def _logprobs(logprobs: Any) -> list[Any] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else None
