"""Another response to a real context, in the manner of a subset."""

from __future__ import annotations

from pathlib import Path

from efficient_empathy.llm.prompting import Message
from efficient_empathy.synthesis.generators.contract import Exchange, Request, Seeds
from efficient_empathy.synthesis.generators.prompts import GenerationPrompt, fence_dialogue, fence_response
from efficient_empathy.synthesis.generators.reading import read_response


class Answer:
    """Answers the context of a sample of the category anew; responses of the subset show the manner."""

    name = "answer"
    seeds: Seeds = "category"
    keeps_context = True

    def __init__(self, prompt: Path | None = None) -> None:
        self.prompt = GenerationPrompt.load(self.name, ("dialogue", "examples", "words"), prompt)

    def messages(self, request: Request) -> list[Message]:
        """See `SampleGenerator`."""
        assert request.seed is not None
        values = {
            "dialogue": fence_dialogue(request.seed, response=False),
            "examples": "\n\n".join(fence_response(one) for one in request.examples),
            "words": request.words,
        }
        return self.prompt.messages(values)

    def read(self, request: Request, reply: str) -> Exchange:
        """See `SampleGenerator`."""
        assert request.seed is not None
        return request.seed.context, read_response(reply)
