"""A dialogue without a seed: a category of the data, and a persona."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.llm.prompting import Message
from efficient_empathy.synthesis.generators.contract import Exchange, Request, Seeds
from efficient_empathy.synthesis.generators.prompts import GenerationPrompt
from efficient_empathy.synthesis.generators.reading import read_dialogue


class Situation:
    """Invents a dialogue of a persona about a category."""

    name = "situation"
    seeds: Seeds = "none"
    keeps_context = False

    def __init__(self, prompt: Path | None = None) -> None:
        self.prompt = GenerationPrompt.load(self.name, ("category", "persona", "lines", "words"), prompt)

    def messages(self, request: Request) -> list[Message]:
        """See `SampleGenerator`."""
        values = {
            "category": " ".join((request.category or "something of everyday life").split()),
            "persona": request.persona,
            "lines": request.lines,
            "words": request.words,
        }
        return self.prompt.messages(values)

    def read(self, request: Request, reply: str) -> Exchange:
        """See `SampleGenerator`."""
        return read_dialogue(reply)
