"""A dialogue of a persona about a category that is played line by line, by two models or by one in both roles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from efficient_empathy.dialogues import Utterance
from efficient_empathy.llm.prompting import Message
from efficient_empathy.synthesis.generators.contract import Exchange, Request, Seeds
from efficient_empathy.synthesis.generators.prompts import GenerationPrompt
from efficient_empathy.synthesis.generators.reading import read_dialogue


class Roles:
    """The speaker follows the prompt; the listener is asked as `generate` asks it."""

    name = "roles"
    seeds: Seeds = "none"
    keeps_context = False

    def __init__(self, prompt: Path | None = None) -> None:
        self.prompt = GenerationPrompt.load(self.name, ("category", "persona"), prompt)

    def messages(self, request: Request) -> list[Message]:
        """What the speaker's first line answers."""
        category = " ".join((request.category or "something of everyday life").split())
        return self.prompt.messages({"category": category, "persona": request.persona})

    def speaker(self, request: Request, said: Sequence[Utterance]) -> list[Message]:
        """See `RolePlay`."""
        roles = {"speaker": "assistant", "listener": "user"}
        return [*self.messages(request), *({"role": roles[turn.role], "content": turn.text} for turn in said)]

    def read(self, request: Request, reply: str) -> Exchange:
        """See `SampleGenerator`; the reply is all lines with their labels."""
        return read_dialogue(reply)
