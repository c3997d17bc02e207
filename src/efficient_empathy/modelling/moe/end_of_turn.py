"""Which tokens end a turn: what generation must stop at, found from the chat template without loading a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from efficient_empathy.modelling.moe.checkpoint import Checkpoint, read_json

_REPLY = "REPLYHERE"
_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")


def end_tokens(model: Checkpoint) -> list[int]:
    """The ids at which generation stops: what the model's files say, and the token that closes an assistant's turn."""
    said: list[int] = []
    generation = model.file("generation_config.json")
    for source in (read_json(generation) if generation else {}, model.config):
        value = source.get("eos_token_id")
        said += value if isinstance(value, list) else [] if value is None else [value]
    closing = closing_token(model)
    return list(dict.fromkeys([*said, *([] if closing is None else [closing])]))


def closing_token(model: Checkpoint) -> int | None:
    """The special token that the chat template puts behind an assistant's reply; None where that cannot be told."""
    files = model.tokenizer()
    settings = read_json(files["tokenizer_config.json"]) if "tokenizer_config.json" in files else {}
    template = files["chat_template.jinja"].read_text("utf-8") if "chat_template.jinja" in files else None
    template = template or settings.get("chat_template")
    if not isinstance(template, str) or "tokenizer.json" not in files:
        return None
    special = {entry["content"]: entry["id"] for entry in read_json(files["tokenizer.json"]).get("added_tokens", [])}
    behind = _rendered(template, settings).rpartition(_REPLY)[2].lstrip()
    fitting = [token for token in special if behind.startswith(token)]
    return special[max(fitting, key=len)] if fitting else None


def _rendered(template: str, settings: Mapping[str, Any]) -> str:
    """A question and a reply in the template, as transformers renders it: sandboxed, with its few functions."""
    import json

    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: ""}
    tokens = {key: _text(settings.get(key)) for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _REPLY}]
    try:
        return environment.from_string(_GENERATION.sub("", template)).render(
            messages=messages, add_generation_prompt=False, **tokens
        )
    except (TemplateError, TypeError, ValueError):
        return ""


def _text(token: object) -> str:
    """A special token, which is a string or an object with its content."""
    return str(token["content"]) if isinstance(token, dict) else str(token or "")
