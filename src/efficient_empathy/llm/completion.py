"""What a call gives, what one would take, and what all calls so far came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from efficient_empathy.llm.errors import FailureKind
from efficient_empathy.llm.thought import spoken


@dataclass(frozen=True, slots=True)
class Completion:
    """A call's answer. `logprobs` is the server's list of token entries, as it came.

    `cost_usd` and `attempts` cover all attempts of the call, `latency_s` the last one. Where the server reports no
    usage, the token counts are estimates (four bytes a token) and the cost is the call's upper bound.
    """

    text: str
    finish_reason: str
    refusal: str | None
    logprobs: list[Any] | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    latency_s: float
    attempts: int

    @property
    def answer(self) -> str:
        """The text without what the model thinks aloud, stripped; empty where it ends inside a thought."""
        answer = spoken(self.text)
        return "" if answer.unfinished else answer.text.strip()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would take: a guess at tokens and dollars, and the dollars that an attempt cannot exceed.

    The guess is four bytes a prompt token, and a completion as long as allowed.
    """

    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    max_cost_usd: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts so far.

    `failures` counts failed attempts by kind, whether or not a retry helped; `concurrency` is the window's ceiling now;
    `spent_usd` is this endpoint's share of the budget.
    """

    requests: int
    retries: int
    successes: int
    failures: Counter[FailureKind]
    concurrency: int
    in_flight: int
    spent_usd: float
