"""The chat completions format: a request as bytes, a reply and an error read from bytes that may be anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

Usage = tuple[int, int]
"""Prompt and completion tokens."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MOST_TOKENS = 10**15
"""A larger claim counts as this: so much breaks any limit on cost, and no sum of dollars overflows."""


class BadBodyError(Exception):
    """A body that is no chat completion. `usage` is what it says was billed, None if it does not say."""

    def __init__(self, reason: str, usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Reply:
    """The first choice of a chat completion. `logprobs` is the list of token entries as the server sent it."""

    text: str
    finish_reason: str
    refusal: str | None
    logprobs: list[Any] | None
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says about a request that it does not answer; empty where it does not say."""

    message: str = ""
    code: str | None = None
    parameter: str | None = None


def request_body(fields: Mapping[str, Any]) -> bytes:
    """The request's JSON. Lone surrogates, which UTF-8 cannot carry, become question marks."""
    return _encode(fields).encode("utf-8", "replace")


def read_reply(body: bytes) -> Reply:
    """The reply in a 200's body, which raises `BadBodyError` where there is none."""
    loaded = _json(body)
    if not isinstance(loaded, dict):
        raise BadBodyError(f"the reply is not a chat completion: {_start(body)}")
    usage = _usage(loaded.get("usage"))
    choices = loaded.get("choices")
    if not isinstance(choices, list):
        raise BadBodyError(f"the reply has no choices: {_start(body)}", usage)
    if not choices:
        raise BadBodyError("the reply has no choices (an empty list)", usage)
    choice = choices[0] if isinstance(choices[0], dict) else {}
    message = choice.get("message")
    text = _text(message.get("content")) if isinstance(message, dict) else None
    if not isinstance(message, dict) or text is None:
        raise BadBodyError(f"the reply's first choice has no message: {_start(body)}", usage)
    refusal, finish = message.get("refusal"), choice.get("finish_reason")
    if text and usage is not None and not usage[1]:
        usage = None  # a text of no tokens
    return Reply(
        text=text,
        finish_reason=finish if isinstance(finish, str) else "",
        refusal=_clean(refusal) if isinstance(refusal, str) and refusal else None,
        logprobs=_logprobs(choice.get("logprobs")),
        usage=usage,
    )


def read_error(body: bytes) -> ServerError:
    """The message, code and parameter of an error's body, in the forms that the usual servers give it."""
    try:
        loaded = _json(body)
    except BadBodyError:
        return ServerError("an HTML page" if body.lstrip().startswith(b"<") else _start(body))
    error = loaded
    for key in ("error", "detail"):
        if isinstance(error, dict) and error.get(key):
            error = error[key]
    if not isinstance(error, dict):
        return ServerError(error if isinstance(error, str) else _start(body))
    message, parameter = error.get("message"), error.get("param")
    codes = [str(code) for code in (error.get("code"), error.get("type")) if isinstance(code, str | int)]
    return ServerError(
        message=message if isinstance(message, str) else _start(body),
        code=codes[0] if codes else None,
        parameter=parameter if isinstance(parameter, str) else None,
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadBodyError(f"the reply is not JSON: {_start(body)}" if body.strip() else "the reply is empty") from None


def _start(body: bytes) -> str:
    return body[:20_000].decode("utf-8", "replace")


def _text(content: Any) -> str | None:
    """The text of a message's content: a string, nothing at all, or a list of parts."""
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [part.get("text", "") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return _clean(content) if isinstance(content, str) else None


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _usage(usage: Any) -> Usage | None:
    """What is said to be billed; None where that cannot be, as with a prompt of no tokens."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (_is_count(prompt) and _is_count(completion) and prompt):
        return None
    return min(prompt, _MOST_TOKENS), min(completion, _MOST_TOKENS)


def _is_count(tokens: Any) -> TypeGuard[int]:
    return type(tokens) is int and tokens >= 0


def _logprobs(logprobs: Any) -> list[Any] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else None
