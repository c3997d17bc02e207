"""The judge `anthropic`: a Claude model behind Anthropic's API, or a server that speaks its messages format."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from efficient_empathy.scoring.judges.llm import LLMSettings


class AnthropicSettings(LLMSettings):
    """A Claude model. The API gives no log-probabilities."""

    NAME: ClassVar[str] = "anthropic"
    WIRE: ClassVar[str] = "anthropic"

    @model_validator(mode="after")
    def _no_logprobs(self) -> Self:
        if self.logprobs:
            raise ValueError("the Anthropic API gives no log-probabilities: leave logprobs out")
        return self
