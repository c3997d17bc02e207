"""What every backend keeps to: prompts in, replies out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from efficient_empathy.llm.prompting import Message

FinishReason = Literal["stop", "length", "error"]
Prompt = list[Message]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered to the prompt at position `prompt`.

    `finish_reason` is stop (the model ended its turn), length (cut off), or error: then `text` is None and `reason`
    says why. Tokens are those of the prompt as the model saw it, and of the reply with its end-of-turn token.
    """

    prompt: int
    text: str | None
    finish_reason: FinishReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reason: str = ""
    cost_usd: float = 0.0


class Generator(Protocol):
    """Answers prompts. A new backend is a new file and one line in `choice.py`."""

    backend: str

    def generate(self, prompts: Sequence[Prompt], done: Collection[int] = ()) -> Iterator[list[Reply]]:
        """Replies to all prompts but those at the positions `done`, in any order, as they come.

        The replies of one list were made together and are kept together: how the prompts are grouped depends on all of
        them and not on `done`, so that a run that goes on groups as an undisturbed one does. Raises `UserError` for
        what concerns all prompts; what concerns one is that reply's `error`.
        """
        ...
