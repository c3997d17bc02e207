"""The settings of an LLM judge, whatever wire format its endpoint speaks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from efficient_empathy.foundation.errors import UserError, endpoint_name
from efficient_empathy.foundation.settings import Flag
from efficient_empathy.scoring.judges.contract import Judge, JudgeContext, JudgeSettings

DECODING = ("reply", "temperature", "max_tokens", "logprobs")
"""The settings of how replies are asked for; they stand in the `JudgeSpec` under these names."""


class LLMSettings(JudgeSettings):
    """Who is asked, and how. A subclass names its wire format."""

    FORMS: ClassVar[tuple[str, ...]] = (":MODEL", ":MODEL@URL")
    READS_REPLIES: ClassVar[bool] = True
    NAME: ClassVar[str]
    WIRE: ClassVar[str]
    """A name of `llm.wire.WIRES`, which also knows the default URL and the variables of URL and key."""

    model: str | None = None
    """the model's name."""
    base_url: str | None = None
    """the endpoint; by default $OPENAI_BASE_URL or https://api.openai.com/v1, $ANTHROPIC_BASE_URL or
    https://api.anthropic.com."""
    api_key_env: str | None = None
    """the environment variable that holds the key; OPENAI_API_KEY or ANTHROPIC_API_KEY by default."""
    reply: Literal["auto", "json", "text"] = "auto"
    """json, by a JSON schema; text, by the evaluation form; auto, JSON until the server declines a schema."""
    temperature: float = Field(default=0.0, ge=0)
    """of sampling."""
    max_tokens: int = Field(default=100, ge=1)
    """room for a reply, in tokens."""
    logprobs: bool = False
    """take the expected score over the score token's log-probabilities instead of the number written."""
    concurrency: int = Field(default=64, ge=1)
    """requests in flight at most."""
    timeout_s: Annotated[float, Flag("--timeout")] = Field(default=60.0, gt=0)
    """seconds for one request."""
    max_attempts: int = Field(default=5, ge=1)
    """tries per request, not counting 429s."""
    max_cost: float | None = Field(default=None, ge=0)
    """US dollars that the ledger of this run, or folder, may come to in all; never exceeded."""
    prices: Path | None = None
    """a prices file instead of the package's own."""

    @classmethod
    def from_detail(cls, detail: str) -> dict[str, Any]:
        """`MODEL` or `MODEL@URL`."""
        model, _, url = detail.partition("@")
        return {key: value for key, value in {"model": model, "base_url": url}.items() if value}

    def resolved(self) -> Self:
        """With the endpoint as a URL without its query; what it may cost is for each run to say."""
        from efficient_empathy.llm.wire import WIRES

        wire = WIRES.load(self.WIRE)
        url = self.base_url or os.environ.get(wire.url_variable) or wire.default_url
        return self.model_copy(update={"base_url": endpoint_name(url), "max_cost": None})

    def build(self, context: JudgeContext) -> Judge:
        """The judge, whose budget begins with what the ledger has come to."""
        from efficient_empathy.llm import Budget, Endpoint, Prices
        from efficient_empathy.llm.wire import WIRES
        from efficient_empathy.scoring.judges.llm_judge import LLMJudge

        if not self.model:
            raise UserError(f"the judge {self.NAME} needs --model: the name that its server gives the model")
        wire = WIRES.load(self.WIRE)()
        key_name = self.api_key_env or wire.key_variable
        endpoint = Endpoint(
            self.base_url or os.environ.get(wire.url_variable) or wire.default_url,
            self.model,
            api_key=os.environ.get(key_name),
            key_name=key_name,
            wire=wire,
            concurrency=self.concurrency,
            timeout_s=self.timeout_s,
            max_attempts=self.max_attempts,
            budget=Budget(self.max_cost, context.spent_usd()),
            prices=Prices.load(self.prices),
        )
        return LLMJudge(endpoint, context.rubric, self)
