"""What a wire format is: how a question becomes an HTTP request, and how the response is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from yarl import URL

from efficient_empathy.llm.wire.dialects import name_dialect
from efficient_empathy.llm.wire.server_error import (
    ServerError,
    body_start,
    find_error,
    is_page,
    read_server_error,
)
from efficient_empathy.llm.wire.stream import after_comments
from efficient_empathy.llm.wire.usage import Usage, load_json

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model, in no server's words. `extra` are further fields of the request (None: not sent).

    `json_schema` is the form that the reply must have, `top_logprobs` how many alternatives of each token are wanted.
    `schema_is_optional`: who asks can ask without the schema too, in other words. `shared_prefix` is what the user's
    message begins with in every question, which a server may cache.
    """

    messages: Messages
    max_tokens: int
    temperature: float | None = 0.0
    json_schema: Mapping[str, Any] | None = None
    top_logprobs: int | None = None
    schema_is_optional: bool = False
    shared_prefix: str = ""
    streamed: bool = False
    """Whether the reply is to come piece by piece, where the server can do that."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply. `finish_reason` is stop, length, content_filter, or the server's own word.

    `logprobs` is the list of token entries as the server sent it, `usage` what is said to be billed. `thought` is what
    the server sends apart from the text as the model's reasoning. `cached` are tokens of the prompt: those read from a
    cache, and those written to one. `model` is what answered, by the server's own name.
    """

    text: str
    finish_reason: str
    refusal: str | None
    logprobs: list[Any] | None
    usage: Usage | None
    thought: str = ""
    cached: tuple[int, int] = (0, 0)
    model: str = ""


class BadBodyError(Exception):
    """A body that holds no reply. `usage` is what it says was billed, None if it does not say.

    `error` is what the server says went wrong, if it says so there. `dialect` is the format that the body has, in words
    that end in what to do, where it is a reply in another one.
    """

    def __init__(
        self, reason: str, usage: Usage | None = None, *, error: ServerError | None = None, dialect: str = ""
    ) -> None:
        super().__init__(reason)
        self.usage = usage
        self.error = error
        self.dialect = dialect


class Wire(Protocol):
    """One format that servers speak. An endpoint has an instance of its own, which may `adapt` to its server."""

    default_url: str
    """Where its best-known server is."""
    url_variable: str
    """The environment variable that names another."""
    key_variable: str
    """The environment variable that holds the key, unless the user names another."""

    def url(self, base: URL) -> URL:
        """Where requests go, below the base URL. Raises `UserError` for one that cannot be meant."""
        ...

    def headers(self, key: str | None, url: URL) -> dict[str, str]:
        """The headers that carry the key to `url`, and the format's version."""
        ...

    def fields(self, model: str, question: Question) -> dict[str, Any]:
        """The request's JSON; `max_tokens` or `max_completion_tokens` bounds the reply, `messages` is a list."""
        ...

    def overhead(self, fields: Mapping[str, Any]) -> int:
        """Prompt tokens that the server may add to what the body holds, at most."""
        ...

    def read_reply(self, body: bytes) -> Reply:
        """The reply in a successful response's body. Raises `BadBodyError` where there is none."""
        ...

    def piece(self, event: Mapping[str, Any]) -> str:
        """The text that one event of a stream adds to the reply; empty where it adds none."""
        ...

    def read_error(self, body: bytes) -> ServerError:
        """What the body of any other response says."""
        ...

    def declined(self, error: ServerError, fields: Mapping[str, Any]) -> str | None:
        """What the server does not take: json_schema, logprobs, or a field of the request; None where it is unclear."""
        ...

    def adapt(self, error: str, declined: str | None) -> bool:
        """Whether requests are written another way from now on, after the server has declined something."""
        ...


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def request_body(fields: Mapping[str, Any]) -> bytes:
    """The request's JSON. Lone surrogates, which UTF-8 cannot carry, become question marks."""
    return _encode(fields).encode("utf-8", "replace")


def read_json(body: bytes) -> Any:
    """A body as JSON, blanks and comments before it left out. Raises `BadBodyError`."""
    try:
        return load_json(body)
    except (ValueError, RecursionError):
        pass
    try:
        return load_json(after_comments(body))
    except (ValueError, RecursionError):
        raise _not_json(body) from None


def _not_json(body: bytes) -> BadBodyError:
    if not body.strip():
        return BadBodyError("the reply is empty")
    if is_page(body):
        page = read_server_error(body)
        return BadBodyError(f"{page.message} came in place of a reply", error=page)
    return BadBodyError(f"the reply is not JSON: {body_start(body)}")


def no_reply(reply: Any, body: bytes, what: str, usage: Usage | None = None) -> BadBodyError:
    """The error of a body whose JSON holds no reply, `what` saying so; the server's own error where it holds that."""
    error = find_error(reply, body)
    if error is not None:
        return BadBodyError(error.message, usage, error=error)
    if dialect := name_dialect(reply):
        return BadBodyError(f"the reply is {dialect}", usage, dialect=dialect)
    return BadBodyError(f"{what}: {body_start(body)}", usage)


def model_of(reply: Mapping[str, Any]) -> str:
    """The model that answered, as the server names it; empty where it does not."""
    model = reply.get("model")
    return clean(model) if isinstance(model, str) else ""


def clean(text: str) -> str:
    """Text without what UTF-8 cannot carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
