"""The options that all settings of a model behind an API share, and what of them files keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, JsonValue

from efficient_empathy.foundation.errors import PUBLIC_PARAMETERS, endpoint_name
from efficient_empathy.foundation.settings import Flag

_FIXED_HEADERS = frozenset(
    {"host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding"}
    | {"proxy-authorization", "expect", "upgrade", "te", "trailer"}
)
_OWN_OPTIONS = frozenset(
    {"messages", "model", "system", "max_tokens", "max_completion_tokens", "temperature", "response_format"}
    | {"logprobs", "top_logprobs", "tools", "tool_choice"}
)
_SECRET = re.compile(
    r"token|(.*[_-])?(api[_-]?key|private[_-]?key|(access|auth|bearer|refresh|session)[_-]?token|secret|password|passwd"
    r"|authorization|credentials?)",
    re.I,
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    names = [name.lower() for name in headers]
    for name, variable in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _FIXED_HEADERS:
            raise ValueError(f"{name!r} is no header that can be set: write NAME=ENV, such as api-key=AZURE_API_KEY")
        if not _VARIABLE.fullmatch(variable):
            raise ValueError(
                f"the header {name} takes the name of an environment variable that holds its value, not the value "
                f"itself: export it, and write {name}=VARIABLE"
            )
        if names.count(name.lower()) > 1:
            raise ValueError(f"the header {name} is there twice: name one variable for it")
    return headers


def _read_body(body: Any) -> Any:
    if not isinstance(body, str):
        return body
    try:
        body = json.loads(body)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error}): write an object such as {_EXAMPLE}") from error
    if not isinstance(body, dict):
        raise ValueError(f"it is JSON, but not an object: write one such as {_EXAMPLE}")
    return body


def _check_body(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name in body:
        if name in _OWN_OPTIONS:
            raise ValueError(f"{name} is not for the extra body: it has an option of its own, or is always sent")
    if body.get("n", 1) != 1:
        raise ValueError("n is not for the extra body: one reply is read")
    if secret := next((name for name in _names(body) if _SECRET.fullmatch(name)), None):
        raise ValueError(
            f"{secret} is not for the extra body, which the run's files keep: export it, and send it as a header"
        )
    return body


def _names(value: JsonValue) -> Iterator[str]:
    """The names in a JSON value, at any depth."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(inner)


_EXAMPLE = """'{"reasoning_effort": "low"}'"""
HeaderVariables = Annotated[dict[str, str], AfterValidator(_check_headers), Flag("--header", metavar="NAME=ENV")]
"""Headers by name, each with the environment variable that holds its value; every value is a secret."""
ExtraBody = Annotated[
    dict[str, JsonValue],
    BeforeValidator(_read_body),
    AfterValidator(_check_body),
    Flag("--extra-body", metavar="JSON"),
]
"""Further fields of every request."""


def settings_of_request(headers: Mapping[str, str], extra_body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What of them would change an answer, for a judge's specification; nothing where there are none."""
    named: list[JsonValue] = [f"{name.lower()}={variable}" for name, variable in sorted(headers.items())]
    return {**({"headers": named} if named else {}), **({"extra_body": dict(extra_body)} if extra_body else {})}


def public_url(url: str) -> str:
    """A URL as files may keep it: without user, password and whatever of its query could be a secret."""
    parts = urlsplit(url.strip()).query.split("&")
    query = sorted(part for part in parts if part.partition("=")[0].lower() in PUBLIC_PARAMETERS)
    return endpoint_name(url) + ("?" + "&".join(query) if query else "")
