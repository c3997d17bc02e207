"""How synthetic samples come about: from a seed rewritten, answered anew or repaired, or from a situation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from efficient_empathy.foundation.plugins import Plugins
from efficient_empathy.synthesis.generators.contract import (
    Exchange,
    Request,
    RolePlay,
    SampleGenerator,
    UnreadableReplyError,
)

GENERATORS: Plugins[Callable[[Path | None], SampleGenerator]] = Plugins(
    "generator",
    "efficient_empathy.generators",
    {
        "rewrite": "efficient_empathy.synthesis.generators.rewrite:Rewrite",
        "answer": "efficient_empathy.synthesis.generators.answer:Answer",
        "situation": "efficient_empathy.synthesis.generators.situation:Situation",
        "roles": "efficient_empathy.synthesis.generators.roles:Roles",
        "repair": "efficient_empathy.synthesis.generators.repair:Repair",
    },
)
"""Every generator by its name: made from the file of its prompt, None for its own."""

__all__ = ["GENERATORS", "Exchange", "Request", "RolePlay", "SampleGenerator", "UnreadableReplyError"]
