"""What every backend keeps to, prompts in and replies out, and which backends there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.llm.prompting import Message
from efficient_empathy.modelling.generation.settings import GenerationSettings

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
    """Answers prompts. A new backend is a new file and one line in `BACKENDS`."""

    backend: str

    def generate(self, prompts: Sequence[Prompt], done: Collection[int] = ()) -> Iterator[list[Reply]]:
        """Replies to all prompts but those at the positions `done`, in any order, as they come.

        The replies of one list were made together and are kept together: how the prompts are grouped depends on all of
        them and not on `done`, so that a run that goes on groups as an undisturbed one does. Raises `UserError` for
        what concerns all prompts; what concerns one is that reply's `error`.
        """
        ...


def _transformers(path: Path | str, settings: GenerationSettings) -> Generator:
    from efficient_empathy.modelling.generation.local import LocalGenerator

    return LocalGenerator.load(path, settings)


def _vllm(path: Path | str, settings: GenerationSettings) -> Generator:
    from efficient_empathy.modelling.generation.vllm_backend import VllmGenerator

    return VllmGenerator(path, settings)


BACKENDS: dict[str, Callable[[Path | str, GenerationSettings], Generator]] = {
    "transformers": _transformers,
    "vllm": _vllm,
}


def choose_backend(settings: GenerationSettings) -> str:
    """The backend asked for; raises `UserError` where it is not to be had."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise missing_extra("generate", "train") from error
    from efficient_empathy.modelling.generation.vllm_backend import available

    if settings.backend == "auto":
        return "vllm" if available() else "transformers"
    if settings.backend == "vllm" and not available():
        raise UserError("--backend vllm needs vLLM and a GPU: pip install vllm, or leave --backend out")
    return settings.backend
