"""The options of every judge that is a language model: which model, and how its replies are asked for."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from efficient_empathy.foundation.settings import Flag
from efficient_empathy.llm.settings import ExtraBody, settings_of_request
from efficient_empathy.llm.thought import reasoning_room
from efficient_empathy.scoring.judges.contract import JudgeSettings

DECODING = ("reply", "temperature", "max_tokens", "logprobs")
"""The settings of how replies are asked for; they stand in the `JudgeSpec` under these names."""


class ModelSettings(JudgeSettings):
    """Which model is asked, and how. A subclass knows where it is."""

    READS_REPLIES: ClassVar[bool] = True
    NAME: ClassVar[str]
    WIRE: ClassVar[str]
    """A name of `llm.wire.WIRES`, which also knows the default URL and the variables of URL and key."""

    model: str | None = None
    """the model's name; of vllm a folder, too."""
    extra_body: ExtraBody = Field(default_factory=dict)
    """further fields of every request, a JSON object such as {"reasoning_effort": "low"}."""
    reply: Literal["auto", "json", "text"] = "auto"
    """json, by a JSON schema; text, by the evaluation form; auto, JSON until the server declines a schema."""
    temperature: float = Field(default=0.0, ge=0)
    """of sampling."""
    max_tokens: int = Field(default=100, ge=1)
    """room for a reply, in tokens."""
    reasoning_tokens: int | None = Field(default=None, ge=0)
    """further room for what a model thinks before it replies, in tokens; by default none, or 4096 where extra_body asks
    for reasoning without a budget of its own."""
    logprobs: bool = False
    """take the expected score over the score token's log-probabilities instead of the number written."""
    redact: bool = False
    """replace what looks like personal data in what is sent; such judgements are kept apart from those of the text."""
    concurrency: int = Field(default=64, ge=1)
    """requests in flight at most; of vllm, those of each engine."""
    timeout_s: Annotated[float, Flag("--timeout")] = Field(default=60.0, gt=0)
    """seconds for one request."""

    @property
    def room(self) -> int:
        """Tokens for thoughts, beside those for the reply."""
        if self.reasoning_tokens is not None:
            return self.reasoning_tokens
        return reasoning_room(self.extra_body)

    @property
    def fields_of_requests(self) -> dict[str, JsonValue]:
        """What of every request's further fields would change an answer, for the `JudgeSpec`."""
        return settings_of_request({}, self.extra_body)
