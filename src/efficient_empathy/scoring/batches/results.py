"""What a batch came to: the judgements that its results are, one for each request, and what it may be billed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from efficient_empathy.llm.batches.client import BatchClient, failure
from efficient_empathy.llm.batches.contract import Status
from efficient_empathy.llm.budget import Budget
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judgement
from efficient_empathy.scoring.ledger import Batch

CUT_SHORT = frozenset({"expired", "cancelled"})
"""A batch that ended so bills only what it has answered (https://platform.openai.com/docs/guides/batch)."""


class NotOursError(Exception):
    """The results are those of somebody else's batch."""


async def collect(
    client: BatchClient, judge: CheckedJudge, batch: Batch, status: Status, folder: Path
) -> list[Judgement]:
    """One judgement for each request of a batch that is over; its results pass through a file in `folder`.

    Raises `GoneError` where the server has the results no longer, `NotOursError` where none of them is about `batch`.
    """
    others = 0
    answers: dict[int, Judgement] = {}
    seen: set[tuple[int, int]] = set()
    async for row in client.rows(status, folder):
        number = _number(row.custom_id, batch)
        others += number is None
        if number is None or (number, hash(row)) in seen:  # a line that stands there twice is billed once
            continue
        seen.add((number, hash(row)))
        sample, size, bound = batch.rows[number]
        answers[number] = _better(answers.get(number), judge.read(sample, client.answer(row, size, bound)))
    if others and not answers:
        raise NotOursError
    unanswered = missing(judge, batch, status.word)
    return [replace(answers.get(i, other), created_at=time.time()) for i, other in enumerate(unanswered)]


def missing(judge: CheckedJudge, batch: Batch, word: str) -> list[Judgement]:
    """What each request of a batch came to if its results do not mention it; `word` is the server's for its end.

    It may have been billed, unless the batch was cut short.
    """
    reason = f"the batch came back ({word}) without an answer to it"
    return [judge.read(sample, failure(reason, 0.0 if word in CUT_SHORT else bound)) for sample, _, bound in batch.rows]


def check_bills(judge: CheckedJudge, batch: Batch, judgements: Sequence[Judgement], budget: Budget) -> None:
    """Raise `Overbilled` where one request was billed at more than it can cost, and cost is limited."""
    for judgement, (_, _, bound) in zip(judgements, batch.rows, strict=True):
        usage = (judgement.prompt_tokens, judgement.completion_tokens)
        if over := judge.endpoint.bills.check(judgement.cost_usd, usage, bound, budget):
            raise over


def _better(first: Judgement | None, other: Judgement) -> Judgement:
    """Of two answers to one request the first that is an answer; what both cost."""
    if first is None:
        return other
    best = other if first.state == "api_error" else first
    return replace(best, cost_usd=first.cost_usd + other.cost_usd)


def _number(custom_id: str, batch: Batch) -> int | None:
    """The place in a batch that a request's name stands for; None where it is none of that batch's."""
    label, _, number = custom_id.partition("-")
    if label != batch.label or not number.isdecimal() or int(number) >= len(batch.rows):
        return None
    return int(number)
