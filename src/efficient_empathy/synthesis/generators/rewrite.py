"""A new dialogue after the manner of a real one (Synth-Empathy, arXiv 2407.21669)."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.llm.prompting import Message
from efficient_empathy.synthesis.generators.contract import Exchange, Request, Seeds
from efficient_empathy.synthesis.generators.prompts import GenerationPrompt, fence_dialogue
from efficient_empathy.synthesis.generators.reading import read_dialogue


class Rewrite:
    """Rewrites a sample of the cell that lacks samples into a new context and a new response."""

    name = "rewrite"
    seeds: Seeds = "subset"
    keeps_context = False

    def __init__(self, prompt: Path | None = None) -> None:
        self.prompt = GenerationPrompt.load(self.name, ("dialogue", "lines", "words"), prompt)

    def messages(self, request: Request) -> list[Message]:
        """See `SampleGenerator`."""
        assert request.seed is not None
        values = {"dialogue": fence_dialogue(request.seed), "lines": request.lines, "words": request.words}
        return self.prompt.messages(values)

    def read(self, request: Request, reply: str) -> Exchange:
        """See `SampleGenerator`."""
        return read_dialogue(reply)
