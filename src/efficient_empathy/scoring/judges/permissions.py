"""What a judge that a file names asks for: keys and dialogues that go to a host, and files that it reads."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds
from efficient_empathy.foundation.permissions import Permission, host_of, is_loopback
from efficient_empathy.llm.diagnosis import KEY_HEADERS
from efficient_empathy.llm.wire import WIRES
from efficient_empathy.scoring.judges.contract import JudgeOptions, JudgeReference
from efficient_empathy.scoring.judges.llm import LLMSettings
from efficient_empathy.scoring.judges.registry import settings_of
from efficient_empathy.scoring.judges.vllm import VLLMSettings


def judge_needs(
    judge: str | JudgeReference, options: JudgeOptions | None, bounds: Bounds, users: Collection[str] = ()
) -> Iterator[Permission]:
    """What asking a judge takes that a file with these bounds names; `users` are the options that its user gave.

    Its vendor's own key for its vendor's own host takes nothing, nor does a server on this machine without a key; the
    user's environment may name another host. Raises `UserError` for what is no judge, option or URL, and for a prices
    file of the file's that a cap of the user's would go by.
    """
    _, settings = settings_of(judge, options)
    chosen = settings.model_fields_set - set(users)
    for name in sorted(chosen):
        if isinstance(value := getattr(settings, name), Path):
            yield from bounds.reading(value)
    if isinstance(settings, VLLMSettings) and "model" in chosen:
        yield from bounds.reading(settings.model)
    if isinstance(settings, LLMSettings):
        if settings.prices is not None and "prices" in chosen and "max_cost" in users:
            raise UserError(
                f"max_cost would go by {settings.prices}, whose prices are not yours: name a prices file yourself, or "
                "take the package's with prices=null"
            )
        yield from _endpoint_needs(settings, chosen)


def _endpoint_needs(settings: LLMSettings, chosen: Collection[str]) -> Iterator[Permission]:
    wire = WIRES.load(settings.WIRE)
    own_urls = (wire.default_url, os.environ.get(wire.url_variable) or wire.default_url)
    host = host_of(settings.base_url or own_urls[1])
    own_host = "base_url" not in chosen or host in map(host_of, own_urls)
    keys = {(settings.headers[name], "headers") for name in settings.headers}
    if settings.api_key_env:
        keys.add((settings.api_key_env, "api_key_env"))
    elif not any(name.lower() in KEY_HEADERS for name in settings.headers) and os.environ.get(wire.key_variable):
        keys.add((wire.key_variable, ""))
    needs = [
        Permission("key", f"{variable}@{host}")
        for variable, option in sorted(keys)
        if not own_host or (option in chosen and variable != wire.key_variable)
    ]
    yield from needs
    if not own_host and not needs and not is_loopback(host):
        yield Permission("host", host)
