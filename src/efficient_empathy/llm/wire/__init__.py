"""The wire formats there are: those of the package, and those of installed packages.

A new one is a file and a line in `BUILT_IN`, or a package with an entry point in `ENTRY_POINTS`.
"""

from __future__ import annotations

from efficient_empathy.foundation.plugins import Plugins
from efficient_empathy.llm.wire.contract import BadBodyError, Messages, Question, Reply, Wire
from efficient_empathy.llm.wire.server_error import ServerError
from efficient_empathy.llm.wire.usage import Usage

BUILT_IN = {
    "openai": "efficient_empathy.llm.wire.openai:OpenAIWire",
    "anthropic": "efficient_empathy.llm.wire.anthropic:AnthropicWire",
}
ENTRY_POINTS = "efficient_empathy.wires"
"""The group under which an installed package names its wire formats: each a class without arguments (see `Wire`)."""

WIRES: Plugins[type[Wire]] = Plugins("wire format", ENTRY_POINTS, BUILT_IN)

__all__ = ["WIRES", "BadBodyError", "Messages", "Question", "Reply", "ServerError", "Usage", "Wire"]
