"""What every generator keeps to: a request becomes a prompt, and the model's reply a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.llm.prompting import Message
from efficient_empathy.synthesis.generators.prompts import GenerationPrompt

Seeds = Literal["subset", "category", "discard", "none"]
Exchange = tuple[Sequence[Utterance], str]
"""A context, from the speaker to the speaker, and the listener's response."""


class UnreadableReplyError(ValueError):
    """Why a reply holds no sample, in a few words."""


@dataclass(frozen=True, slots=True)
class Request:
    """One sample that is asked for.

    `cell` is what lacks samples, by its key; `category` and `subset` are its own or the seed's. `seed` is the real
    sample that it is made from; None where a generator needs none. `examples` are real samples of the subset. `lines`
    is how many turns the dialogue has with its response, an even number; `words` the longest response. `reason` is what
    the judge said of the seed. `draw` tells requests apart that are alike otherwise.
    """

    generator: str
    category: str | None
    subset: str
    lines: int
    words: int
    draw: int
    seed: Sample | None = None
    examples: tuple[Sample, ...] = ()
    persona: str = ""
    reason: str = ""
    cell: tuple[str, ...] = ()


class SampleGenerator(Protocol):
    """Makes samples of one kind. A new generator is a new file, its prompt, and one line in `GENERATORS`."""

    name: str
    seeds: Seeds
    """What it starts from: samples of the cell's category and subset, of its category, of what the policy left out of
    the category, or none."""
    keeps_context: bool
    """Whether its samples have the seed's own context."""
    prompt: GenerationPrompt
    """What it asks."""

    def messages(self, request: Request) -> list[Message]:
        """The prompt of one request."""
        ...

    def read(self, request: Request, reply: str) -> Exchange:
        """What the reply holds. Raises `UnreadableReplyError`."""
        ...


@runtime_checkable
class RolePlay(SampleGenerator, Protocol):
    """Has a dialogue played line by line instead: `messages` asks for the speaker's first line, `read` gets all lines
    as “Speaker: …” and “Listener: …”. The listener is asked as `generate` asks a model."""

    def speaker(self, request: Request, said: Sequence[Utterance]) -> list[Message]:
        """What the speaker's next line answers, after what was `said`."""
        ...
