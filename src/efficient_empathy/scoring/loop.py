"""The scoring loop: a sliding window of judge calls over a stream of samples, each answer kept at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from efficient_empathy.dialogues import Sample
from efficient_empathy.llm import BudgetExhausted, Draining
from efficient_empathy.scoring.judgement import Judge, Judgement
from efficient_empathy.scoring.ledger import Ledger

CHUNK = 1024

Ending = Literal["complete", "stopped", "budget"]


class Pending:
    """The samples that still need judging, each at most once at a time, from a stream that is read as it is needed."""

    def __init__(self, samples: Iterable[Sample], ledger: Ledger, spec: str) -> None:
        self.under_way: set[str] = set()
        self._samples = iter(samples)
        self._ledger, self._spec = ledger, spec
        self._stream = self._unjudged()

    def take(self, n: int) -> list[Sample]:
        """The next `n` or fewer; empty at the end. They count as under way until `done`."""
        return list(islice(self._stream, n))

    def done(self, samples: Iterable[Sample]) -> None:
        """They are in the ledger, or were given up."""
        self.under_way.difference_update(sample.id for sample in samples)

    def _unjudged(self) -> Iterator[Sample]:
        while chunk := list(islice(self._samples, CHUNK)):
            missing = self._ledger.missing(self._spec, [sample.id for sample in chunk])
            for sample in chunk:
                if sample.id in missing:
                    missing.discard(sample.id)
                    if sample.id not in self.under_way:
                        self.under_way.add(sample.id)
                        yield sample


async def score_samples(
    samples: Iterable[Sample],
    judge: Judge,
    ledger: Ledger,
    *,
    stop: asyncio.Event,
    on_judgements: Callable[[Sequence[Judgement]], None] = lambda _: None,
) -> Ending:
    """Judge every sample that has no `ok` judgement yet, and record each answer before its slot is used again.

    Setting `stop` ends it after the calls in flight. Returns how it ended. What concerns all calls (a wrong key, a dead
    endpoint, a full disk) is raised, as `UserError`, once the calls in flight are kept.
    """
    pending = Pending(samples, ledger, judge.spec)
    failures: list[Exception] = []

    async def work() -> None:
        try:
            while not stop.is_set() and (batch := pending.take(judge.batch_size)):
                judgements = await judge.judge(batch)
                ledger.record(judge.spec, judgements)
                pending.done(batch)
                on_judgements(judgements)
        except Draining:
            return
        except Exception as error:
            failures.append(error)
            stop.set()
            if not isinstance(error, BudgetExhausted):
                judge.drain()  # nobody should pay for what cannot be kept

    async with asyncio.TaskGroup() as group:
        for _ in range(judge.concurrency):
            group.create_task(work())
    for error in failures:
        if not isinstance(error, BudgetExhausted):
            raise error
    if failures:
        return "budget"
    return "stopped" if stop.is_set() else "complete"
