"""What a server says about a request that it does not answer, in the forms that servers say it.

`{"error": {…}}`, `{"error": "words"}`, a list of either, `{"object": "error", …}`, `{"detail": …}`,
`{"statusCode": …}`, an error inside a choice; and any of these inside HTTP 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WRAPPERS = ("error", "errors", "detail", "base_resp", "fault")
_MESSAGES = ("message", "msg", "error_msg", "error_message", "errorMessage", "status_msg", "detail", "description")
_CODES = ("code", "type", "status", "reason")
_STATUSES = ("status", "statusCode", "status_code", "code", "http_code", "error_code")
_MOST_CHARACTERS = 20_000
_DEEPEST = 4
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.I | re.S)

_STATUS_OF_CODE = {
    **dict.fromkeys(("authenticationerror", "invalidapikey", "apikeyinvalid", "unauthenticated", "unauthorized"), 401),
    **dict.fromkeys(("permissionerror", "permissiondenied", "forbidden"), 403),
    **dict.fromkeys(("notfounderror", "notfound", "modelnotfound"), 404),
    **dict.fromkeys(("ratelimiterror", "ratelimitexceeded", "ratelimitreached", "resourceexhausted"), 429),
    **dict.fromkeys(("toomanyrequests", "throttlingexception", "throttling"), 429),
    **dict.fromkeys(("invalidrequesterror", "invalidargument", "badrequesterror", "badrequest"), 400),
    **dict.fromkeys(("unavailable", "unavailableerror", "serviceunavailable", "serviceunavailableerror"), 503),
    **dict.fromkeys(("overloadederror", "overloaded", "engineoverloaded", "engineoverloadederror"), 529),
    **dict.fromkeys(("timeouterror", "deadlineexceeded", "timeout"), 504),
    "billingerror": 402, "requesttoolarge": 413,
}  # fmt: skip
"""Codes of OpenAI, Anthropic, Google, vLLM and AWS, in small letters without marks between them."""

_STATUS_OF_WORDS = (
    (429, re.compile(r"rate.?limit|too many requests|throttl", re.I)),
    (401, re.compile(r"\bapi[ _-]?key|unauthori[sz]ed|unauthenticated|authentication|login fail|access token", re.I)),
    (404, re.compile(r"unexpected endpoint|no such (route|endpoint)|unknown (url|path|endpoint|route)", re.I)),
    (503, re.compile(r"overloaded|loading|unavailable|too busy|server busy|try again|at capacity", re.I)),
)


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says about a request that it does not answer; empty where it does not say.

    `status` is the HTTP status that the body itself names, by number or code, None where it names none. `words` is all
    that it says. `is_page`: it is a web page, whose title the message has.
    """

    message: str = ""
    code: str | None = None
    parameter: str | None = None
    status: int | None = None
    words: str = ""
    is_page: bool = False

    @property
    def meaning(self) -> int | None:
        """The HTTP status that it stands for, by its words where it names none."""
        return self.status or next((status for status, pattern in _STATUS_OF_WORDS if pattern.search(self.words)), None)


def body_start(body: bytes) -> str:
    """The beginning of a body, for an error."""
    return body[:_MOST_CHARACTERS].decode("utf-8", "replace")


def is_page(body: bytes) -> bool:
    """Whether a body is a web page (or any other markup)."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def read_server_error(body: bytes) -> ServerError:
    """What the body of a response that is no success says."""
    if is_page(body):
        title = _TITLE.search(body)
        words = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
        return ServerError(f"an HTML page, “{words}”" if words else "an HTML page", words=words, is_page=True)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        text = body_start(body)
        return ServerError(text, words=text)
    return describe_error(value, body_start(body))


def find_error(reply: Any, body: bytes) -> ServerError | None:
    """The error that a successful response holds in place of a reply; None where it holds none.

    `reply` is the body's JSON. Where there is no sign of a reply at all, a message alone counts as an error.
    """
    if isinstance(reply, list):
        return find_error(reply[0], body) if reply and isinstance(reply[0], dict) else None
    if not isinstance(reply, dict):
        return None
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if choice.get("error"):
        return describe_error({"error": choice["error"]}, body_start(body))
    marked = reply.get("error") or "error" in (reply.get("object"), reply.get("type"))
    if marked or (not choices and any(_has_message(one) for one in _layers(reply))):
        return describe_error(reply, body_start(body))
    if choice.get("finish_reason") == "error":
        return ServerError("the server broke the reply off with an error", status=502)
    return None


def describe_error(value: Any, text: str) -> ServerError:
    """An error's JSON as what it says; `text` is the body, which stands for a message where there is none."""
    layers = list(_layers(value))
    inner = layers[-1] if layers else None
    if isinstance(inner, str):
        message: str | None = inner
    elif isinstance(inner, list):
        message = _validation(inner)
    else:
        message = _message(inner)
    objects = [layer for layer in reversed(layers) if isinstance(layer, dict)]
    codes = [str(o[key]) for o in objects for key in _CODES if isinstance(o.get(key), str | int) and o[key] != "error"]
    parameter = next((o["param"] for o in objects if isinstance(o.get("param"), str)), None)
    upstream = next((_upstream(o) for o in objects if _upstream(o)), "")
    message = text if message is None else f"{message} ({upstream})" if upstream else message
    words = " ".join([*codes, message, *_details(objects)])
    return ServerError(
        message=message,
        code=codes[0] if codes else None,
        parameter=parameter,
        status=_status(objects, codes),
        words=words[:_MOST_CHARACTERS],
    )


def _layers(value: Any) -> Iterator[Any]:
    """The objects around an error, from the outermost to what is said in the end."""
    for _ in range(_DEEPEST):
        if isinstance(value, list) and value and isinstance(value[0], dict) and "loc" not in value[0]:
            value = value[0]
        yield value
        if not isinstance(value, dict):
            return
        inner = next((value[key] for key in _WRAPPERS if value.get(key)), None)
        if inner is None or isinstance(inner, int | float):
            return
        value = inner


def _has_message(layer: Any) -> bool:
    return isinstance(layer, dict) and any(isinstance(layer.get(key), str) and layer[key] for key in _MESSAGES)


def _message(error: Any) -> str | None:
    if not isinstance(error, dict):
        return None
    return next((error[key] for key in _MESSAGES if isinstance(error.get(key), str)), None)


def _validation(faults: list[Any]) -> str | None:
    """FastAPI's list of what does not fit, without the input that it repeats."""
    lines = [
        f"{'.'.join(map(str, fault['loc']))}: {fault.get('msg', '')}"
        for fault in faults
        if isinstance(fault, dict) and isinstance(fault.get("loc"), list)
    ]
    return "; ".join(lines) or None


def _upstream(error: Mapping[str, Any]) -> str:
    """What the provider behind a gateway said, as OpenRouter passes it on."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return raw if isinstance(raw, str) else ""


def _details(objects: list[dict[str, Any]]) -> list[str]:
    """The reasons beside a message: Google's details, Azure's inner error, OpenRouter's metadata."""
    keys = ("details", "innererror", "metadata", "estimated_time")
    return [f"{key}: {json.dumps(o[key], ensure_ascii=False)}" for o in objects for key in keys if o.get(key)]


def _status(objects: list[dict[str, Any]], codes: list[str]) -> int | None:
    numbers = (str(o[key]) for o in objects for key in _STATUSES if isinstance(o.get(key), str | int))
    status = next((int(number) for number in numbers if re.fullmatch(r"[45]\d\d", number)), None)
    if status is None:
        status = next((s for code in codes if (s := _STATUS_OF_CODE.get(re.sub(r"[\W_]", "", code.lower())))), None)
    return status
