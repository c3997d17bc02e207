"""The prompts of generators: versioned YAML files with placeholders, known by a hash of their content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import load
from efficient_empathy.llm.prompting import Message
from efficient_empathy.scoring.rubric import fence

LONGEST = 200_000
"""Characters of a prompt's text."""


class GenerationPrompt(BaseModel):
    """What a generator asks. Everything in it but its description counts into its `hash`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    version: int = Field(default=1, ge=1)
    description: str = ""
    system: str = Field(default="", max_length=LONGEST)
    prompt: str = Field(min_length=1, max_length=LONGEST)

    @classmethod
    def load(cls, generator: str, placeholders: Sequence[str], path: Path | str | None = None) -> GenerationPrompt:
        """The prompt of a generator: that of the file, else its own.

        Raises `UserError` for a file that is no prompt, and for one that lacks one of the `placeholders`.
        """
        source = Path(path) if path else files(__package__) / "prompts" / f"{generator}.yaml"
        prompt = load(cls, source, "the prompt")
        if missing := [f"{{{one}}}" for one in placeholders if f"{{{one}}}" not in prompt.prompt]:
            raise UserError(f"the prompt {source} lacks {', '.join(missing)}, which {generator} fills in")
        return prompt

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all but the description, first 16 hexadecimal digits."""
        content = json.dumps(self.model_dump(exclude={"description"}), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def texts(self) -> tuple[str, ...]:
        """What it says to the model whatever is filled in."""
        return tuple(text for text in (self.system, *re.split(r"\{\w+\}", self.prompt)) if text.strip())

    def messages(self, values: Mapping[str, object]) -> list[Message]:
        """The chat messages with every placeholder of `values` filled in, and other braces as they stand."""
        pieces = re.split(rf"\{{({'|'.join(values)})\}}", self.prompt)
        text = "".join(piece if i % 2 == 0 else str(values[piece]) for i, piece in enumerate(pieces))
        user = {"role": "user", "content": text}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]


def fence_dialogue(sample: Sample, *, response: bool = True) -> str:
    """A sample between marked lines that no text in it can hold; without its response only the context."""
    turns = [*sample.context, *([Utterance("listener", sample.response)] if response else [])]
    return fence("dialogue", sample.id[:12], turns)


def fence_response(sample: Sample) -> str:
    """A sample's response between marked lines."""
    return fence("response", sample.id[:12], [Utterance("listener", sample.response)])
