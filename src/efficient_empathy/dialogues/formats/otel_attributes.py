"""The attributes of OpenTelemetry's spans as plain values, and the messages that stand in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from efficient_empathy.dialogues.formats.payloads import parse_json

Attributes = dict[str, Any]
Messages = tuple[Any, Any]
"""What a call was asked and what it answered, as payloads; None where nothing is logged."""

_NESTED = ("gen_ai", "llm", "ai", "openinference", "traceloop", "session")
_INDEXED = re.compile(r"(\d+)\.(.+)")
_ASKED_EVENTS = {"gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant"}
_ASKED_EVENTS |= {"gen_ai.system.message": "system", "gen_ai.tool.message": "tool"}
_CHOICE = "gen_ai.choice"


def attributes_of(span: dict[str, Any]) -> Attributes:
    """A span's or event's attributes by dotted name, whichever way they are written."""
    raw = parse_json(next((span[key] for key in ("attributes", "Attributes", "tags") if span.get(key)), {}))
    if isinstance(raw, list):
        pairs = [item for item in raw if isinstance(item, dict) and "key" in item]
        raw = {item["key"]: plain_value(item.get("value")) for item in pairs}
    columns = {str(k).removeprefix("attributes."): v for k, v in span.items() if str(k).startswith(_DOTTED)}
    flat: Attributes = {}
    for name, value in {**columns, **(raw if isinstance(raw, dict) else {})}.items():
        _flatten(str(name), value, flat)
    return flat


_DOTTED = ("attributes.", "gen_ai.", "llm.", "openinference.", "ai.")


def _flatten(name: str, value: Any, flat: Attributes) -> None:
    """Objects under the names of the conventions become dotted names, as some back ends store them nested."""
    if isinstance(value, dict) and name.split(".")[0] in _NESTED and value and name.count(".") < 8:
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, flat)
    else:
        flat[name] = value


def plain_value(value: Any) -> Any:
    """A value of OTLP (`{"stringValue": …}`) as plain JSON; anything else as it is."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    kind = str(kind).replace("_", "").lower()
    if kind == "arrayvalue" and isinstance(inner, dict):
        items = inner.get("values")
        return [plain_value(item) for item in items] if isinstance(items, list) else []
    if kind == "kvlistvalue" and isinstance(inner, dict):
        return body_of(value)
    return inner if kind in ("stringvalue", "intvalue", "doublevalue", "boolvalue", "bytesvalue") else value


def body_of(body: Any) -> Attributes:
    """The body of a log record as an object; text is its content."""
    body = parse_json(body)
    if isinstance(body, dict) and len(body) == 1:
        ((kind, inner),) = body.items()
        if str(kind).replace("_", "").lower() == "kvlistvalue" and isinstance(inner, dict):
            pairs = [item for item in inner.get("values") or [] if isinstance(item, dict)]
            return {str(item.get("key")): plain_value(item.get("value")) for item in pairs}
        body = parse_json(plain_value(body))
    return body if isinstance(body, dict) else {"content": body} if isinstance(body, str) else {}


def messages_of_attributes(attributes: Attributes) -> Messages:
    """What the attributes say that a call was asked and answered, by the first convention that they follow."""
    asked = parse_json(attributes.get("gen_ai.input.messages"))
    answered = parse_json(attributes.get("gen_ai.output.messages"))
    if asked or answered:
        return asked, answered[:1] if isinstance(answered, list) else answered
    for prompt, completion in (("gen_ai.prompt", "gen_ai.completion"), ("llm.prompts", "llm.completions")):
        asked, answered = _indexed(attributes, prompt), _indexed(attributes, completion)
        if asked or answered:
            return asked, answered[:1]
    asked, answered = _inference(attributes, "llm.input_messages"), _inference(attributes, "llm.output_messages")
    if asked or answered:
        return asked, answered[:1]
    if "ai.prompt.messages" in attributes or "ai.response.text" in attributes:
        return parse_json(attributes.get("ai.prompt.messages")), attributes.get("ai.response.text")
    listed = parse_json(attributes.get("events"))
    if isinstance(listed, list) and listed:
        return messages_of_events([(str(e.get("event.name")), e) for e in listed if isinstance(e, dict)])
    if "openinference.span.kind" in attributes:
        return parse_json(attributes.get("input.value")), parse_json(attributes.get("output.value"))
    return parse_json(attributes.get("gen_ai.prompt")), parse_json(attributes.get("gen_ai.completion"))


def messages_of_events(events: Iterable[tuple[str, Attributes]]) -> Messages:
    """What events say that a call was asked and answered: an event a message, or one event with all."""
    asked: list[Any] = []
    answered: Any = None
    for name, values in events:
        if name in _ASKED_EVENTS:
            asked.append({**values, "role": values.get("role") or _ASKED_EVENTS[name]})
        elif name == _CHOICE and answered is None:
            message = parse_json(values.get("message")) or values
            answered = message if isinstance(message, str) else {"role": "assistant", **message}
        elif "gen_ai.input.messages" in values or "gen_ai.output.messages" in values:
            return messages_of_attributes(values)
        elif name == "gen_ai.content.prompt":
            asked = parse_json(values.get("gen_ai.prompt")) or asked
        elif name == "gen_ai.content.completion":
            answered = parse_json(values.get("gen_ai.completion")) or answered
    return asked or None, answered


def _by_index(attributes: Attributes, prefix: str) -> list[Attributes]:
    """The attributes under `prefix.N.` by N, without that prefix."""
    found: dict[int, Attributes] = {}
    for name, value in attributes.items():
        if name.startswith(f"{prefix}.") and (match := _INDEXED.fullmatch(name[len(prefix) + 1 :])):
            found.setdefault(int(match[1]), {})[match[2]] = value
    return [found[index] for index in sorted(found)]


def _indexed(attributes: Attributes, prefix: str) -> list[Attributes]:
    default = "user" if "prompt" in prefix else "assistant"
    return [
        {"role": one.get("role") or default, "content": _parts(one.get("content")), "tool_calls": _calls_tool(one)}
        for one in _by_index(attributes, prefix)
    ]


def _inference(attributes: Attributes, prefix: str) -> list[Attributes]:
    listed = parse_json(attributes.get(prefix))
    if isinstance(listed, list):
        items = [one.get("message", one) for one in listed if isinstance(one, dict)]
        plain = [{str(k).removeprefix("message."): v for k, v in one.items()} for one in items if isinstance(one, dict)]
    else:
        plain = [
            {name.removeprefix("message."): value for name, value in one.items()}
            for one in _by_index(attributes, prefix)
        ]
    return [_inference_message(one, "user" if "input" in prefix else "assistant") for one in plain]


def _inference_message(values: Attributes, default: str) -> Attributes:
    content = values.get("content")
    listed = parse_json(values.get("contents"))
    parts = listed if isinstance(listed, list) else _by_index(values, "contents")
    if content is None and parts:
        inner = [part.get("message_content", part) for part in parts if isinstance(part, dict)]
        content = [{str(k).removeprefix("message_content."): v for k, v in part.items()} for part in inner]
    return {"role": values.get("role") or default, "content": content, "tool_calls": _calls_tool(values)}


def _calls_tool(values: Attributes) -> bool:
    return any(str(name).startswith(("tool_calls", "function_call")) and value for name, value in values.items())


def _parts(content: Any) -> Any:
    """Content that is a list of parts as JSON text, as that list."""
    parsed = parse_json(content)
    listed = isinstance(parsed, list) and all(isinstance(part, dict) and "type" in part for part in parsed)
    return parsed if listed and parsed else content
