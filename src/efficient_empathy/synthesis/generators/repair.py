"""A discarded response made better, by what the judge said of it."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.llm.prompting import Message
from efficient_empathy.synthesis.generators.contract import Exchange, Request, Seeds
from efficient_empathy.synthesis.generators.prompts import GenerationPrompt, fence_dialogue, fence_response
from efficient_empathy.synthesis.generators.reading import read_response


class Repair:
    """Writes a better response in place of one that the policy left out."""

    name = "repair"
    seeds: Seeds = "discard"
    keeps_context = True

    def __init__(self, prompt: Path | None = None) -> None:
        self.prompt = GenerationPrompt.load(self.name, ("dialogue", "response", "reason", "words"), prompt)

    def messages(self, request: Request) -> list[Message]:
        """See `SampleGenerator`."""
        assert request.seed is not None
        values = {
            "dialogue": fence_dialogue(request.seed, response=False),
            "response": fence_response(request.seed),
            "reason": request.reason,
            "words": request.words,
        }
        return self.prompt.messages(values)

    def read(self, request: Request, reply: str) -> Exchange:
        """See `SampleGenerator`."""
        assert request.seed is not None
        return request.seed.context, read_response(reply)
