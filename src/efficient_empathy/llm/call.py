"""One call on its way: what is sent, what it may cost, and what its attempts came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from efficient_empathy.llm.completion import Completion, Estimate
from efficient_empathy.llm.faults import Fault
from efficient_empathy.llm.prices import Price
from efficient_empathy.llm.secrecy import Secrets
from efficient_empathy.llm.wire import Reply, request_body

_TEMPLATE_TOKENS = 16  # more than any chat template puts around a message, or around them all


@dataclass(slots=True)
class Call:
    """A request's fields and body, and the count of attempts, dollars and (of the last attempt) seconds so far.

    `refusals` are the attempts that were rate-limited, `refused_s` the seconds waited for them.

    `bound_usd` is what one attempt cannot exceed: a token is at least one byte of the request, chat templates add at
    most 16 tokens a message and 16 more, and `completion_tokens` is as many as the server may generate.
    """

    fields: Mapping[str, Any]
    price: Price
    attempts: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    refusals: int = 0
    refused_s: float = 0.0
    body: bytes = field(init=False)
    completion_tokens: int = field(init=False)
    bound_usd: float = field(init=False)

    def __post_init__(self) -> None:
        self.body = request_body(self.fields)
        limits = (self.fields.get(name, 0) for name in ("max_tokens", "max_completion_tokens"))
        self.completion_tokens = max(limits) * max(1, self.fields.get("n", 1))
        prompt_tokens = len(self.body) + _TEMPLATE_TOKENS * (len(self.fields["messages"]) + 1)
        self.bound_usd = self.price.cost(prompt_tokens, self.completion_tokens)

    def cost_of(self, outcome: Reply | Fault) -> float:
        """US dollars for one attempt: what its usage comes to, or the upper bound where it may have been billed."""
        if outcome.usage is not None:
            return self.price.cost(*outcome.usage)
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
        prompt, completion = reply.usage or (len(self.body) // 4, -(-len(reply.text.encode()) // 4))
        return Completion(
            text=secrets.scrub(reply.text),
            finish_reason=secrets.scrub(reply.finish_reason),
            refusal=None if reply.refusal is None else secrets.scrub(reply.refusal),
            logprobs=reply.logprobs,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=self.cost_usd,
            latency_s=self.latency_s,
            attempts=self.attempts,
        )
