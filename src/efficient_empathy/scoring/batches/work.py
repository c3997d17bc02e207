"""Batches at work: look after those that are under way, keep what came back, send what is still missing.

A batch is in the ledger before it is sent, so that a process that is killed at any point neither forgets one nor sends
its samples twice. All that came back of one is kept in one transaction, together with what it cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import temporary_beside
from efficient_empathy.llm.batches.client import BatchClient
from efficient_empathy.llm.batches.contract import GoneError, Status, UnclearError
from efficient_empathy.llm.errors import BudgetExhausted, CallFailed
from efficient_empathy.llm.runner import Work
from efficient_empathy.llm.wire import Question
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judgement
from efficient_empathy.scoring.ledger import Batch, BatchRow, Ledger
from efficient_empathy.scoring.progress import ProgressDisplay

TRIALS = 5
"""Samples that are judged one by one, at most, until one has scores, before a batch is sent."""
SENT_AT_MOST = 5
"""Batches that one command sends a sample in, where it comes back without an answer."""
CLOCKS_APART_S = 600.0
CUT_SHORT = frozenset({"expired", "cancelled"})
"""A batch that ended so bills only what it has answered (https://platform.openai.com/docs/guides/batch)."""
FULL = "token_limit_exceeded"
"""OpenAI's code where an account's queue of tokens takes no more."""
Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Batching:
    """What the batches of one judge have to do with: whose samples, where they are kept, who is told."""

    samples: Callable[[], Iterable[Sample]]
    """Those to judge, from the first again at each call."""
    judge: CheckedJudge
    ledger: Ledger
    display: ProgressDisplay
    console: Console
    settings: BatchSettings
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class BatchWork:
    """The steps that bring all samples of a judge through its batch API, one after the other, for the runner."""

    def __init__(self, batching: Batching) -> None:
        self._to = batching
        judge, self._ledger = batching.judge, batching.ledger
        self._client: BatchClient = judge.open_batches(batching.sleep)
        self._budget = judge.endpoint.budget
        self._most_rows = min(batching.settings.batch_rows or self._client.api.most_rows, self._client.api.most_rows)
        self._sent: Counter[str] = Counter()
        self._answered: set[str] = set()
        """Samples that came back with an answer without scores: another command may ask again, not this one."""
        self._open = self._ledger.open_batches(judge.spec)
        for batch in self._open:
            self._budget.take_back(batch.reserved_usd)
        self._words: dict[str, str] = {}
        self._stream: Iterator[Sample] = iter(())
        self._held: Sample | None = None
        self._has_looked = self._has_tried = self._is_through = False
        self._is_full = False
        """The account's queue takes no more until a batch has come back."""
        self._stop = asyncio.Event()

    @property
    def under_way(self) -> int:
        """Samples in batches whose outcome is not known."""
        return sum(len(batch.rows) for batch in self._open)

    def work(self) -> Work[Step, None]:
        """What the runner does: a step at a time, until nothing is left that this command is to do."""

        async def ask(steps: Sequence[Step]) -> None:
            await steps[0]()

        judge = self._to.judge
        return Work(
            take=lambda _: [step] if (step := self._next()) else [],
            ask=ask,
            keep=lambda *_: None,
            drain=self._drain,
            check=judge.check,
            close=judge.close,
        )

    def _drain(self) -> None:
        self._stop.set()
        self._to.judge.drain()

    def _next(self) -> Step | None:
        if not self._has_looked:
            return self._look
        if not self._is_through and not self._is_full:
            return self._send if self._has_tried else self._try
        if self._to.settings.wait and self._open:
            return self._pause
        return None

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self._to.settings.poll)
        self._has_looked = self._stop.is_set()

    async def _look(self) -> None:
        """Ask how each batch stands, and keep what has come back; whoever came back without an answer may go again."""
        self._has_looked = True
        if any(batch.remote is None for batch in self._open):
            await self._find()
        for batch in [*self._open]:
            if self._stop.is_set():
                return
            try:
                status = await self._client.status(batch.remote or "")
            except GoneError as error:
                self._drop(batch, error)
                continue
            self._tell(batch, status)
            if status.state != "running":
                self._is_through = self._is_full = False
                await self._collect(batch, status)
                self._restart()

    async def _find(self) -> None:
        """Learn whether the server has those batches that were about to be sent when their process ended."""
        known, unclear = self._ledger.batch_names(), [batch for batch in self._open if batch.remote is None]
        oldest = min(batch.created_at for batch in unclear) - CLOCKS_APART_S
        remotes: dict[str, str] = {}
        async for status in self._client.recent():
            if status.created_at < oldest:
                break
            for batch in unclear:
                same = status.label == batch.label if status.label is not None else status.total == len(batch.rows)
                if same and status.id not in known and batch.label not in remotes:
                    remotes[batch.label] = status.id
                    known.add(status.id)
        for batch in unclear:
            self._open.remove(batch)
            if remote := remotes.get(batch.label):
                self._ledger.name_batch(batch, remote)
                self._open.append(replace(batch, remote=remote))
            else:
                self._close(batch, [], "never sent")

    def _tell(self, batch: Batch, status: Status) -> None:
        """Say how a batch stands, where that has changed."""
        words = f"{status.id}: {status.word}, {status.done:,} of {len(batch.rows):,} done"
        if self._words.get(status.id) != words:
            self._words[status.id] = words
            self._to.console.print(words)

    async def _collect(self, batch: Batch, status: Status) -> None:
        """Keep all that a batch has come to. Raises `UserError` where its file was not taken."""
        if status.state == "rejected":
            self._open.remove(batch)
            self._close(batch, [], f"rejected: {status.reason or status.word}")
            self._reject(status, len(batch.rows))
            return
        judgements: dict[int, Judgement] = {}
        seen: set[tuple[int, int]] = set()
        try:
            async for row in self._client.rows(status, self._ledger.path.parent):
                number = _number(row.custom_id, batch)
                if number is None or (number, hash(row)) in seen:  # a line that stands there twice is billed once
                    continue
                seen.add((number, hash(row)))
                sample, size, bound = batch.rows[number]
                judgement = self._to.judge.read(sample, self._client.answer(row, size, bound))
                judgements[number] = _better(judgements.get(number), judgement)
        except GoneError as error:
            self._drop(batch, error)
            return
        self._keep(batch, judgements, status.word)

    def _drop(self, batch: Batch, error: GoneError) -> None:
        """Give up a batch that the server does not have any more, if that was allowed; it counts as paid."""
        if not self._to.settings.drop_lost:
            raise UserError(
                f"{error}: run the command with the key that the batch of {len(batch.rows):,} requests was sent with; "
                "if it is gone for good, --drop-lost counts it as paid and asks for its samples anew"
            ) from error
        self._is_through = self._is_full = False
        self._keep(batch, {}, "lost")

    def _keep(self, batch: Batch, answers: Mapping[int, Judgement], word: str) -> None:
        """Keep what every request of a batch came to; `word` is the server's for how the batch ended."""
        now = time.time()
        judgements = [
            replace(answers.get(i) or self._unanswered(row, word), created_at=now) for i, row in enumerate(batch.rows)
        ]
        self._open.remove(batch)
        self._close(batch, judgements, word)
        again = 0
        for judgement in judgements:
            self._sent[judgement.sample_id] += 1
            if judgement.state in ("parse_error", "refused"):
                self._answered.add(judgement.sample_id)
            again += judgement.state == "api_error" and self._sent[judgement.sample_id] < SENT_AT_MOST
        self._to.display.update(judgements, again)
        self._check_bills(batch, judgements)

    def _unanswered(self, row: BatchRow, word: str) -> Judgement:
        """Of a request that the results do not mention, which may have been billed unless its batch was cut short."""
        sample, _, bound = row
        reason = f"the batch came back ({word}) without an answer to it"
        return self._to.judge.read(sample, CallFailed(reason, "rejected", 1, 0.0 if word in CUT_SHORT else bound))

    def _close(self, batch: Batch, judgements: Sequence[Judgement], outcome: str) -> None:
        cost = sum(judgement.cost_usd for judgement in judgements)
        self._budget.settle(
            batch.reserved_usd, cost, lambda usd: self._ledger.close_batch(batch, judgements, outcome, usd)
        )

    def _check_bills(self, batch: Batch, judgements: Sequence[Judgement]) -> None:
        """Raise `Overbilled` where one request was billed at more than it can cost, and cost is limited."""
        if self._budget.max_usd is None:
            return
        for judgement, (_, _, bound) in zip(judgements, batch.rows, strict=True):
            usage = (judgement.prompt_tokens, judgement.completion_tokens)
            over = self._to.judge.endpoint.bills.check(judgement.cost_usd, usage, bound, self._budget)
            if over is not None:
                raise over

    def _reject(self, status: Status, rows: int) -> None:
        """What to do where the server did not take a batch: send less where its queue is full."""
        if status.code != FULL:
            raise UserError(f"{self._to.judge.endpoint.url} does not take the batch {status.id}: {status.reason}")
        if self._open:
            self._is_full = True
        elif rows > 1:
            self._most_rows = max(1, rows // 2)
            self._to.console.print(
                f"The account's queue does not take {rows:,} requests at once; going on with {self._most_rows:,} each."
            )
        else:
            raise UserError(f"{self._to.judge.endpoint.url} has no room for a single request: {status.reason}")

    async def _try(self) -> None:
        """Judge a sample or a few call by call: it shows how the server wants to be asked, and that its bill is true.

        Raises `UserError` where none of `TRIALS` gets scores; where there are fewer, nothing is left to send.
        """
        self._restart()
        trials: list[Judgement] = []
        for sample in self._stream:
            judgements = await self._to.judge.judge([sample])
            self._ledger.record(self._to.judge.spec, judgements)
            self._to.display.update(judgements)
            self._answered.add(sample.id)
            trials += judgements
            if trials[-1].state == "ok" or len(trials) == TRIALS or self._stop.is_set():
                break
        if len(trials) == TRIALS and trials[-1].state != "ok":
            raise UserError(
                f"no batch is sent, since none of the {len(trials)} samples that were tried first got scores: "
                f"{trials[-1].reason}"
            )
        self._has_tried, self._is_through = bool(trials), not trials

    async def _send(self) -> None:
        """Send the next batch; with nothing left to send, all are through."""
        label = uuid.uuid4().hex[:16]
        with temporary_beside(self._ledger.path.parent / "batch.jsonl") as file:
            rows, reserved = self._write(file, label)
            if not rows:
                self._is_through = not self._is_full
                return
            spec = self._to.judge.spec
            self._budget.reserve(reserved, lambda usd: self._ledger.open_batch(spec, label, rows, reserved, usd))
            batch = Batch(label, spec, None, rows, reserved, time.time())
            self._open.append(batch)
            try:
                status = await self._client.submit(file, label)
            except UnclearError as error:
                raise UserError(
                    f"nobody knows whether {self._to.judge.endpoint.url} has taken a batch of {len(rows):,} requests "
                    f"({error}): the same command finds out"
                ) from error
            except UserError:
                self._open.remove(batch)
                self._close(batch, [], "not taken")
                raise
            self._ledger.name_batch(batch, status.id)
            self._open[-1] = replace(batch, remote=status.id)
            self._to.console.print(f"{status.id}: sent, {len(rows):,} requests")

    def _write(self, file: Path, label: str) -> tuple[list[BatchRow], float]:
        """Write the next batch's requests, as many as API and budget allow: its rows, the dollars to set aside."""
        head, between, tail = self._client.api.framing
        rows: list[BatchRow] = []
        size, reserved = len(head) + len(tail), 0.0
        with file.open("wb") as handle:
            handle.write(head)
            while len(rows) < self._most_rows and (sample := self._held or next(self._stream, None)) is not None:
                self._held = sample
                question = Question(**self._to.judge.request(sample))
                request = self._client.request(f"{label}-{len(rows)}", question)
                grown = size + len(request.content) + (len(between) if rows else 0)
                if grown > self._client.api.most_bytes and rows:
                    break
                if not self._budget.covers(reserved + request.bound_usd):
                    if not rows and not self._open:
                        raise BudgetExhausted(
                            f"the budget of ${self._budget.max_usd:.6g} is used up: ${self._budget.spent_usd:.6f} "
                            f"spent, and the next request could cost up to ${request.bound_usd:.6f}"
                        )
                    self._is_full = not rows
                    break
                handle.write((between if rows else b"") + request.content)
                rows.append((sample.id, len(request.content), request.bound_usd))
                size, reserved = grown, reserved + request.bound_usd
                self._held = None
            handle.write(tail)
        return rows, reserved

    def _restart(self) -> None:
        """Go through the samples from the first again."""
        self._held = None
        self._stream = self._missing({sample for batch in self._open for sample, _, _ in batch.rows} | self._answered)

    def _missing(self, seen: set[str]) -> Iterator[Sample]:
        """Samples without an answer, each once; none that is in `seen`."""
        chunk: list[Sample] = []

        def fresh() -> Iterator[Sample]:
            missing = self._ledger.missing(self._to.judge.spec, [sample.id for sample in chunk])
            for sample in chunk:
                if sample.id in missing and sample.id not in seen and self._sent[sample.id] < SENT_AT_MOST:
                    seen.add(sample.id)
                    yield sample

        for sample in self._to.samples():
            chunk.append(sample)
            if len(chunk) == 1024:
                yield from fresh()
                chunk = []
        yield from fresh()


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
