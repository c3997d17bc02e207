"""The text of one message: plain, or a list of parts, of which some are no text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from efficient_empathy.dialogues.rows import (
    Intake,
    LeftOutError,
    MalformedError,
    clean,
    require_value,
    show_value,
)

_TEXT_TYPES = ("text", "input_text", "output_text", "refusal")
_REASONING_TYPES = ("thinking", "redacted_thinking", "reasoning", "reasoning_content", "reasoning_text", "summary_text")
_MEDIA = {"image": "images", "img": "images", "picture": "images", "audio": "audio", "video": "videos", "file": "files"}
_MEDIA |= {"document": "files", "speech": "audio"}
_MEDIA_COLUMNS = {"images": "images", "image": "images", "videos": "videos", "video": "videos"}
_MEDIA_COLUMNS |= {"audios": "audio", "audio": "audio"}
_PLACEHOLDER = re.compile(r"<(image|video|audio)>")
_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>\s*", re.DOTALL)


def content_text(values: Mapping[str, Any], key: str, intake: Intake) -> str:
    """The text at `key`: as it stands, or the text parts of a list, joined by line breaks.

    Parts of reasoning and of tools are left out and counted. Raises `LeftOutError` for parts that the text cannot do
    without (images, audio …), malformed for what is neither text nor known parts.
    """
    value = values.get(key)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return clean("\n".join(text for part in value if (text := _part_text(part, key, intake)) is not None))
    if isinstance(value, dict) and ("parts" in value or "text" in value or "type" in value):
        parts = value.get("parts")
        return content_text({key: parts if isinstance(parts, list) else [value]}, key, intake)
    require_value(dict(values), key)
    raise MalformedError(f"{key!r} is {show_value(value)}, not text")


def _part_text(part: object, key: str, intake: Intake) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise MalformedError(f"{key!r} holds {show_value(part)}, which is no text")
    kind = part.get("type")
    if kind in _REASONING_TYPES or (kind is None and part.get("thinking") is not None):
        intake.repairs["reasoning left out"] += 1
        return None
    if isinstance(kind, str) and re.search(r"tool|function", kind):
        intake.repairs["tool calls left out" if re.search(r"use|call$", kind) else "tool results left out"] += 1
        return None
    if kind is None or kind in _TEXT_TYPES:
        text = part.get("text") if part.get("text") is not None else part.get("refusal")
        text = text.get("value") if isinstance(text, dict) else text
        if isinstance(text, str):
            return text
    if medium := _medium_of(part):
        raise LeftOutError(f"dialogues with {medium} left out")
    raise MalformedError(f"{key!r} holds {show_value(part)}, which is no text")


def _medium_of(part: Mapping[str, Any]) -> str | None:
    """The medium that a part is of, by its type, or by the key that is not null where it has none."""
    names = [part["type"]] if isinstance(part.get("type"), str) else [k for k, v in part.items() if v is not None]
    words = (word for name in names for word in re.split(r"[^a-z]+", str(name).lower()))
    return next((_MEDIA[word] for word in words if word in _MEDIA), None)


def without_reasoning(text: str, intake: Intake) -> str:
    """A reply without the `<think>…</think>` that it begins with, which is counted."""
    if not text.startswith("<"):
        return text
    block = _THINKING.match(text)
    if block is None:
        return text
    intake.repairs["reasoning left out"] += 1
    return text[block.end() :]


def require_text_alone(values: Mapping[str, Any], texts: Iterable[str]) -> None:
    """Raise `LeftOutError` if a dialogue is about an image, a video or a recording that stands beside it.

    It is where a text has its placeholder and the row has the medium, where a turn begins or ends with a placeholder,
    and where the row has `images`, `videos` or `audios`, as trainers read them.
    """
    if "images" in values or "videos" in values or "audios" in values:
        for column in ("images", "videos", "audios"):
            if values.get(column):
                raise LeftOutError(f"dialogues with {_MEDIA_COLUMNS[column]} left out")
    for text in texts:
        if "<" not in text:
            continue
        for mark in _PLACEHOLDER.finditer(text):
            present = any(values.get(column) for column in (mark[1], f"{mark[1]}s"))
            if present or not text[: mark.start()].strip() or not text[mark.end() :].strip():
                raise LeftOutError(f"dialogues with {_MEDIA_COLUMNS[mark[1]]} left out")
