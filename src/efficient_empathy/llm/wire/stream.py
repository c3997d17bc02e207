"""Replies that come as server-sent events, asked for or not: read as they come, or put together as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from efficient_empathy.llm.wire.server_error import body_start
from efficient_empathy.llm.wire.usage import load_json

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


def read_events(body: bytes) -> list[dict[str, Any]] | None:
    """The JSON objects that the events of a stream carry; None for what is no stream. Comments are left out."""
    if body.startswith(b"{") or not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_FIELDS):
        return None
    return EventReader().feed(b"\n".join([*body.splitlines(), b"", b""]))


class EventReader:
    """The JSON objects of a stream's events as its parts come; what is no JSON is left out, such as [DONE]."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, part: bytes) -> list[dict[str, Any]]:
        """The objects of the events that end in this part."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        events: list[dict[str, Any]] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:])
            elif not line.strip() and self._data:
                events += _object(b"\n".join(self._data))
                self._data = []
        return events


def after_comments(body: bytes) -> bytes:
    """A body without the comments that a gateway sent before it to keep the connection alive."""
    lines = body.lstrip(b"\xef\xbb\xbf \t\r\n").splitlines(keepends=True)
    while lines and (not lines[0].strip() or lines[0].startswith(b":")):
        del lines[0]
    return b"".join(lines)


def _object(data: bytes) -> list[dict[str, Any]]:
    try:
        value = load_json(data)
    except (ValueError, RecursionError):
        return []  # [DONE]
    return [value] if isinstance(value, dict) else []


def failed_event(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The event that says the reply failed, if there is one."""
    return next((one for one in events if one.get("error") or one.get("type") == "error"), None)


def join_text(target: dict[str, Any], delta: Any) -> None:
    """Add what a delta brings to a message: texts are joined, lists go on, anything else replaces what was there."""
    if not isinstance(delta, dict):
        return
    for name, value in delta.items():
        earlier = target.get(name)
        if isinstance(earlier, str) and isinstance(value, str):
            target[name] = earlier + value
        elif isinstance(earlier, list) and isinstance(value, list):
            target[name] = [*earlier, *value]
        elif value is not None:
            target[name] = value


def broken_stream(body: bytes) -> str:
    """The reason of a stream that ends before its reply does."""
    return f"the server streams, and its stream ended before the reply did: {body_start(body[-400:])}"
