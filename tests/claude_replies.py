"""What a server of Anthropic's messages format answers, for `MisbehavingServer`."""

from __future__ import annotations

import json
from typing import Any

from misbehaviours import Behaviour, raw


def message(
    content: Any, *, stop_reason: str | None = "end_turn", usage: Any = (20, 4), model: str = "claude-haiku-4-5"
) -> bytes:
    """A message's body; `content` is a text or the list of blocks, `usage` None leaves it out."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": blocks}
    body |= {"stop_reason": stop_reason, "stop_sequence": None}
    if isinstance(usage, tuple):
        usage = {"input_tokens": usage[0], "output_tokens": usage[1]}
    return json.dumps(body | ({"usage": usage} if usage is not None else {})).encode()


def tool(given: Any, **options: Any) -> Behaviour:
    """The model calls the tool that it was told to call."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "report", "input": given}
    return raw(message([block], **{"stop_reason": "tool_use", **options}))


def says(text: str, **options: Any) -> Behaviour:
    """A good reply in words."""
    return raw(message(text, **options))


def fails(status: int, kind: str, words: str = "…", **headers: str) -> Behaviour:
    """An error in Anthropic's form."""
    return raw(json.dumps({"type": "error", "error": {"type": kind, "message": words}}), status, **headers)


def no_credit() -> Behaviour:
    """The account behind the key is empty."""
    return fails(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.")


def declines(what: str) -> Behaviour:
    """A field of the request is not taken."""
    return fails(400, "invalid_request_error", f"{what}: Extra inputs are not permitted")
