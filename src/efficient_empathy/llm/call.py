"""One call: what is sent, what it may cost, what its attempts came to, and its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from efficient_empathy.llm.errors import FailureKind, Fault
from efficient_empathy.llm.prices import Price
from efficient_empathy.llm.thought import strip_thoughts
from efficient_empathy.llm.wire import Question, Reply
from efficient_empathy.llm.wire.contract import request_body

if TYPE_CHECKING:
    from efficient_empathy.llm.keys import Secrets


@dataclass(frozen=True, slots=True)
class Completion:
    """A call's answer. `logprobs` is the server's list of token entries, `thought` what it sent as reasoning.

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
    thought: str = ""

    @property
    def answer(self) -> str:
        """The text without what the model thinks aloud, stripped; empty where it ends inside a thought."""
        answer = strip_thoughts(self.text)
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


@dataclass(slots=True)
class Call:
    """A question, its request's fields and body, and the attempts, dollars and (of the last attempt) seconds so far.

    `refusals` are the attempts that patience is for (rate limits, a model being loaded), `refused_s` the seconds
    waited for them; `fault` is why the last attempt failed.

    `bound_usd` is what one attempt cannot exceed: a token is at least one byte of the request, `overhead` is what the
    server may add, and `completion_tokens` is as many as it may generate.
    """

    question: Question
    fields: Mapping[str, Any]
    price: Price
    overhead: int
    attempts: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    refusals: int = 0
    refused_s: float = 0.0
    fault: str = ""
    on_text: Callable[[str], None] | None = None
    """Who is told the text of a streamed reply so far."""
    body: bytes = field(init=False)
    completion_tokens: int = field(init=False)
    bound_usd: float = field(init=False)

    def __post_init__(self) -> None:
        self.body = request_body(self.fields)
        limits = (self.fields.get(name, 0) for name in ("max_tokens", "max_completion_tokens"))
        self.completion_tokens = max(limits) * max(1, self.fields.get("n", 1))
        self.price_at(self.price)

    def price_at(self, price: Price) -> None:
        """Count at `price` from now on."""
        self.price = price
        writes = b'"cache_control"' in self.body
        self.bound_usd = price.most(len(self.body) + self.overhead, self.completion_tokens, writes=writes)

    def cost_of(self, outcome: Reply | Fault) -> float:
        """US dollars for one attempt: what its usage comes to, or the upper bound where it may have been billed."""
        if outcome.usage is not None:
            return self.price.cost(*outcome.usage, *(outcome.cached if isinstance(outcome, Reply) else ()))
        return self.bound_usd if isinstance(outcome, Reply) or outcome.billed else 0.0

    def estimate(self) -> Estimate:
        """What an attempt would take."""
        prompt_tokens = len(self.body) // 4
        return Estimate(
            prompt_tokens=prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost_usd=self.price.cost(prompt_tokens, self.completion_tokens),
            max_cost_usd=self.bound_usd,
        )

    def completion(self, reply: Reply, secrets: Secrets) -> Completion:
        """The answer, with what all attempts came to."""
        return complete(reply, secrets, len(self.body), self.cost_usd, self.latency_s, self.attempts)


def complete(
    reply: Reply, secrets: Secrets, request_bytes: int, cost_usd: float, latency_s: float, attempts: int
) -> Completion:
    """The answer that a reply is, without secrets; its token counts are estimated where it has none."""
    prompt, completion = reply.usage or (request_bytes // 4, -(-len(reply.text.encode()) // 4))
    return Completion(
        text=secrets.scrub(reply.text),
        finish_reason=secrets.scrub(reply.finish_reason),
        refusal=None if reply.refusal is None else secrets.scrub(reply.refusal),
        logprobs=reply.logprobs,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=cost_usd,
        latency_s=latency_s,
        attempts=attempts,
        thought=secrets.scrub(reply.thought),
    )
