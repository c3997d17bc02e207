"""What a judge that a file names asks for: keys and dialogues that go to a host, and files that it reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Bounds
from efficient_empathy.foundation.permissions import Permission
from efficient_empathy.llm.permissions import endpoint_needs
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
        yield from endpoint_needs(settings.WIRE, settings.base_url, settings.headers, settings.api_key_env, chosen)
