"""What one request may cost, to the token: its bytes, what a chat template adds, and all that may be generated."""

from typing import Any

import pytest

from calling import Client
from efficient_empathy.llm import Budget, Completion, Endpoint, Overbilled
from efficient_empathy.llm.wire.contract import request_body
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok

MESSAGES = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "é" * 50}]
TEMPLATE_TOKENS = 16


def tokens_at_most(body: dict[str, Any]) -> int:
    return len(request_body(body)) + TEMPLATE_TOKENS * (len(body["messages"]) + 1)


@pytest.mark.parametrize(("extra", "completions"), [({}, 16), ({"n": 3}, 48), ({"n": 0}, 16)])
def test_the_bound_is_a_token_a_byte_and_what_a_template_adds(extra: dict[str, Any], completions: int) -> None:
    judge = Endpoint("http://127.0.0.1:1/v1", "gpt-4o")
    estimate = judge.estimate(MESSAGES, max_tokens=16, **extra)
    tokens = tokens_at_most(judge.body(messages=MESSAGES, max_tokens=16, extra=extra))
    assert judge.price is not None
    assert estimate.max_cost_usd == pytest.approx(judge.price.cost(tokens, completions), rel=1e-9)
    assert estimate.completion_tokens == completions


@pytest.mark.parametrize(("more", "then"), [(0, Completion), (1, Overbilled)])
def test_a_server_may_bill_every_byte_and_every_template_token_and_no_more(
    client: Client, more: int, then: type
) -> None:
    """The bill is at the bound, and then one token above it."""

    def bill(body: dict[str, Any], number: int) -> Behaviour:
        return ok(usage={"prompt_tokens": tokens_at_most(body) + more, "completion_tokens": body["max_tokens"]})

    with MisbehavingServer(bill) as server:
        results = client(server.url, 2, concurrency=1, budget=Budget(1.0), max_attempts=1)
    assert [type(result) for result in results] == [Completion, then]
