"""Batches at work: look after those that are under way, keep what came back, send what is still missing.

A batch is in the ledger before it is sent, so that a process that is killed at any point neither forgets one nor sends
its samples twice. All that came back of one is kept in one transaction, together with what it cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import temporary_beside
from efficient_empathy.llm.batches.client import BatchClient
from efficient_empathy.llm.batches.contract import GoneError, Status, UnclearError
from efficient_empathy.llm.errors import BudgetExhausted
from efficient_empathy.llm.runner import Work
from efficient_empathy.scoring.batches.outbox import Outbox
from efficient_empathy.scoring.batches.results import NotOursError, check_bills, collect, missing
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judgement
from efficient_empathy.scoring.ledger import Batch, Ledger
from efficient_empathy.scoring.progress import ProgressDisplay

TRIALS = 5
"""Samples that are judged one by one, at most, until one has scores, before a batch is sent."""
CLOCKS_APART_S = 600.0
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
        self._judge, self._ledger = batching.judge, batching.ledger
        self._server: str = self._judge.endpoint.url
        self._budget = self._judge.endpoint.budget
        self._client: BatchClient = self._judge.open_batches(batching.sleep)
        self._outbox = Outbox(batching.samples, self._judge, self._ledger)
        self._most_rows = min(batching.settings.batch_rows or self._client.api.most_rows, self._client.api.most_rows)
        self._open = self._ledger.open_batches(self._judge.spec)
        for batch in self._open:
            self._budget.take_back(batch.reserved_usd)
        self._others: set[str] = set()
        """Batches at the server that were taken for ours."""
        self._words: dict[str, str] = {}
        self._has_looked = self._has_tried = self._is_through = False
        self._is_full = False
        """Budget or queue take no more until a batch has come back."""
        self._stop = asyncio.Event()

    def work(self) -> Work[Step, None]:
        """What the runner does: a step at a time, until nothing is left that this command is to do."""

        async def ask(steps: Sequence[Step]) -> None:
            await steps[0]()

        return Work(
            take=lambda _: [step] if (step := self._next()) else [],
            ask=ask,
            keep=lambda *_: None,
            drain=self._drain,
            check=self._judge.check,
            close=self._judge.close,
        )

    def _drain(self) -> None:
        self._stop.set()
        self._judge.drain()

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
        """Ask how each batch stands, and keep what has come back; what came back without an answer may go again."""
        self._has_looked = True
        if any(batch.remote is None for batch in self._open):
            await self._find()
        for batch in [*self._open]:
            if self._stop.is_set():
                return
            await self._look_at(batch)

    async def _find(self) -> None:
        """Learn whether the server has those batches that were about to be sent when their process ended."""
        known = self._ledger.batch_names() | self._others
        unclear = [batch for batch in self._open if batch.remote is None]
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

    async def _look_at(self, batch: Batch) -> None:
        try:
            status = await self._client.status(batch.remote or "")
            words = f"{status.id}: {status.word}, {status.done:,} of {len(batch.rows):,} done"
            if self._words.get(status.id) != words:
                self._words[status.id] = words
                self._to.console.print(words)
            if status.state == "running":
                return
            if status.state == "rejected":
                self._reject(batch, status)
            else:
                folder = self._ledger.path.parent
                self._keep(batch, await collect(self._client, self._judge, batch, status, folder), status.word)
        except GoneError as error:
            if not self._to.settings.drop_lost:
                raise UserError(
                    f"{error}: run the command with the key that the batch of {len(batch.rows):,} requests was sent "
                    "with; if it is gone for good, --drop-lost counts it as paid and asks for its samples anew"
                ) from error
            self._keep(batch, missing(self._judge, batch, "lost"), "lost")
        except NotOursError:  # found by its size and time alone, as Anthropic keeps no labels
            self._others.add(status.id)
            self._ledger.name_batch(batch, None)
            self._open[self._open.index(batch)] = replace(batch, remote=None)
            self._has_looked = False
        self._outbox.restart(self._open)

    def _keep(self, batch: Batch, judgements: Sequence[Judgement], word: str) -> None:
        """Keep what every request of a batch came to; `word` says how the batch ended."""
        self._open.remove(batch)
        self._close(batch, judgements, word)
        self._to.display.update(judgements, self._outbox.came_back(judgements))
        self._is_through = self._is_full = False
        check_bills(self._judge, batch, judgements, self._budget)

    def _close(self, batch: Batch, judgements: Sequence[Judgement], word: str) -> None:
        cost = sum(judgement.cost_usd for judgement in judgements)
        self._budget.settle(
            batch.reserved_usd, cost, lambda usd: self._ledger.close_batch(batch, judgements, word, usd)
        )

    def _reject(self, batch: Batch, status: Status) -> None:
        """Send less where the server did not take a batch since its queue is full. Raises `UserError` for the rest."""
        self._open.remove(batch)
        self._close(batch, [], f"rejected: {status.reason or status.word}")
        rows = len(batch.rows)
        if status.code != FULL:
            raise UserError(f"{self._server} does not take the batch {status.id}: {status.reason}")
        self._is_through, self._is_full = False, bool(self._open)
        if self._open:
            return
        if rows == 1:
            raise UserError(f"{self._server} has no room for a single request: {status.reason}")
        self._most_rows = max(1, rows // 2)
        self._to.console.print(
            f"The account's queue does not take {rows:,} requests at once; going on with {self._most_rows:,} each."
        )

    async def _try(self) -> None:
        """Judge a sample or a few call by call: it shows how the server wants to be asked, and that its bill is true.

        Raises `UserError` where none of `TRIALS` gets scores; where there are fewer, nothing is left to send.
        """
        self._outbox.restart(self._open)
        trials: list[Judgement] = []
        while len(trials) < TRIALS and not self._stop.is_set() and (sample := self._outbox.take()) is not None:
            trials += await self._judge.judge([sample])
            self._ledger.record(self._judge.spec, trials[-1:])
            self._to.display.update(trials[-1:])
            if trials[-1].state == "ok":
                break
        if len(trials) == TRIALS and trials[-1].state != "ok":
            raise UserError(
                f"no batch is sent, since none of the {len(trials)} samples that were tried first got scores: "
                f"{trials[-1].reason}"
            )
        self._has_tried, self._is_through = bool(trials), not trials

    async def _send(self) -> None:
        """Send the next batch; with nothing left to send, all are through."""
        label, spec = uuid.uuid4().hex[:16], self._judge.spec
        with temporary_beside(self._ledger.path.parent / "batch.jsonl") as file:
            try:
                rows, dollars = self._outbox.fill(file, label, self._client, self._budget, self._most_rows)
            except BudgetExhausted:
                self._is_full = bool(self._open)  # there is room again once one of them has come back
                if self._is_full:
                    return
                raise
            if not rows:
                self._is_through = True
                return
            self._budget.reserve(dollars, lambda usd: self._ledger.open_batch(spec, label, rows, dollars, usd))
            batch = Batch(label, spec, None, rows, dollars, time.time())
            self._open.append(batch)
            try:
                status = await self._client.submit(file, label)
            except UnclearError as error:
                raise UserError(
                    f"nobody knows whether {self._server} has taken a batch of {len(rows):,} requests ({error}): the "
                    "same command finds out"
                ) from error
            except UserError:
                self._open.remove(batch)
                self._close(batch, [], "not taken")
                raise
            self._ledger.name_batch(batch, status.id)
            self._open[-1] = replace(batch, remote=status.id)
            self._to.console.print(f"{status.id}: sent, {len(rows):,} requests")
