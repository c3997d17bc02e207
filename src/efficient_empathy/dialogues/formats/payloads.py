"""What a call to a model got and gave, in the shapes that chat APIs, LangChain and decorators log: as messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from efficient_empathy.dialogues.rows import MalformedError, show_value
from efficient_empathy.dialogues.turns.roles import TABLE

Message = dict[str, Any]

_CLASSES = {"human": "user", "ai": "assistant", "aimessagechunk": "assistant", "humanmessagechunk": "user"}
_CLASSES |= {"humanmessage": "user", "aimessage": "assistant", "systemmessage": "system", "system": "system"}
_CLASSES |= {"toolmessage": "tool", "functionmessage": "tool", "tool": "tool", "function": "tool"}
"""LangChain's kinds of messages."""
_LISTS = ("messages", "contents", "chat_history", "history")
_ASKED = ("input", "question", "query", "prompt", "message", "text", "user_input", "human_input", "content")
_ANSWERED: tuple[str, ...] = (
    *("output", "answer", "response", "reply", "text", "completion", "result", "content", "generated_text"),
    *("message", "messages"),
)


def parse_json(value: Any) -> Any:
    """The value of JSON text that is an object or a list; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def asked_messages(payload: Any, key: str) -> list[Message]:
    """The messages that a call was given; text alone is the user's. Malformed, naming `key`, if there are none."""
    messages = _asked(_whole(payload, key))
    if messages is None:
        raise MalformedError(f"{key!r} is {show_value(payload)}, in which there are no messages or text")
    return messages


def answered_messages(payload: Any, key: str) -> list[Message]:
    """The messages that a call gave; text alone is the assistant's. Malformed, naming `key`, if there are none."""
    messages = _answered(_whole(payload, key))
    if messages is None:
        raise MalformedError(f"{key!r} is {show_value(payload)}, in which there is no message or text")
    return messages


def _whole(payload: Any, key: str) -> Any:
    """The payload, from JSON if it is JSON text; malformed if that was cut, as by a limit on what is logged."""
    value = parse_json(payload)
    if isinstance(value, str) and value.lstrip().startswith(('{"', '[{"')):
        raise MalformedError(
            f"{key!r} is JSON that is cut or broken: {show_value(value)}: log it whole (raise the limit on its length)"
        )
    return value


def _asked(payload: Any) -> list[Message] | None:
    if isinstance(payload, str):
        return [{"role": "user", "content": payload}]
    if isinstance(payload, list):
        return _messages(payload, "user")
    if not isinstance(payload, dict):
        return None
    if message := _message(payload, None):
        return [message]
    if isinstance(payload.get("kwargs"), dict) or isinstance(payload.get("args"), list):
        inner = _asked(payload["kwargs"]) if payload.get("kwargs") else None
        return inner or (_asked(payload["args"][0]) if payload.get("args") else None)
    earlier = next((payload[key] for key in _LISTS if isinstance(payload.get(key), list)), None)
    messages = _messages(earlier, "user") if earlier else []
    if messages is None:
        return None
    system = payload.get("system")
    if system and isinstance(system, str | list):
        messages = [{"role": "system", "content": ""}, *messages]
    last = next((payload[key] for key in _ASKED if payload.get(key)), None)
    if last is not None and "messages" not in payload and "contents" not in payload:
        asked = _asked(parse_json(last))
        return None if asked is None else [*messages, *asked]
    return messages or None


def _answered(payload: Any) -> list[Message] | None:
    if isinstance(payload, str):
        return [{"role": "assistant", "content": payload}]
    if isinstance(payload, list):
        return _answered(payload[0]) if payload and isinstance(payload[0], list) else _messages(payload, "assistant")
    if not isinstance(payload, dict):
        return None
    if choices := _first_list(payload, ("choices", "generations", "candidates")):
        first = choices[0][0] if isinstance(choices[0], list) and choices[0] else choices[0]
        return _choice(first)
    if message := _message(payload, "assistant"):
        return [message]
    answer = next((payload[key] for key in _ANSWERED if payload.get(key)), None)
    return None if answer is None else _answered(parse_json(answer))


def _choice(choice: Any) -> list[Message] | None:
    """A choice of a chat API, a generation of LangChain, a candidate of Gemini."""
    if not isinstance(choice, dict):
        return None
    for key in ("message", "content"):
        if isinstance(choice.get(key), dict) and (message := _message(choice[key], "assistant")):
            return [message]
    return [{"role": "assistant", "content": choice["text"]}] if isinstance(choice.get("text"), str) else None


def _first_list(payload: dict[str, Any], keys: Sequence[str]) -> list[Any] | None:
    return next((payload[key] for key in keys if isinstance(payload.get(key), list) and payload[key]), None)


def _messages(items: list[Any], default: str) -> list[Message] | None:
    """A list of messages, or a list that holds one such list; None if an item is none."""
    if len(items) == 1 and isinstance(items[0], list) and _message(items[0], None) is None:
        items = items[0]
    messages = [_message(item, default) for item in items]
    return [one for one in messages if one is not None] if None not in messages else None


def _message(item: Any, default: str | None) -> Message | None:
    """One message as role and content; `default` is the role of text and of content without a role, None for none."""
    if isinstance(item, str):
        return {"role": default, "content": item} if default else None
    if isinstance(item, list):
        if len(item) != 2 or not all(isinstance(part, str) for part in item):
            return None
        role = _CLASSES.get(item[0].lower(), item[0])
        return {"role": role, "content": item[1]} if role in TABLE else None
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("kwargs"), dict) and isinstance(item.get("id"), list) and item["id"]:
        return _of_kind(str(item["id"][-1]), item["kwargs"])
    if isinstance(item.get("role"), str):
        return _with_content(item, item["role"])
    kind = item.get("type")
    if isinstance(kind, str) and kind.lower() in _CLASSES:
        return _of_kind(kind, item["data"] if isinstance(item.get("data"), dict) else item)
    return _with_content(item, default) if default and isinstance(item.get("content"), str | list) else None


def _of_kind(kind: str, values: dict[str, Any]) -> Message | None:
    role = _CLASSES.get(kind.lower()) or values.get("role")
    return _with_content(values, role) if isinstance(role, str) else None


def _with_content(values: dict[str, Any], role: str) -> Message:
    content = values.get("content")
    if content is None and isinstance(values.get("parts"), list):
        content = [_part(part) for part in values["parts"]]
    calls = values.get("tool_calls") or values.get("function_call")
    return {"role": role, "content": content, "tool_calls": calls, "refusal": values.get("refusal")}


def _part(part: Any) -> Any:
    """A part of OpenTelemetry's or Gemini's messages as chat APIs have it."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part.get("content", part.get("text"))}
    if kind in ("blob", "uri", "file"):
        return {**part, "type": part.get("modality") or "file"}
    if any(key in part for key in ("functionCall", "function_call")):
        return {"type": "tool_use"}
    if kind == "tool_call_response" or any(key in part for key in ("functionResponse", "function_response")):
        return {"type": "tool_result"}
    if kind is None and any(key in part for key in ("inlineData", "inline_data", "fileData", "file_data")):
        return {"type": "file"}
    return part
