"""One process of a cluster that judges: unit by unit, each answer kept before the next call goes out."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.cluster.books import Account, Report, Turn
from efficient_empathy.cluster.budget import LeasedBudget
from efficient_empathy.cluster.units import Unit, read_unit, units_of
from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.errors import BudgetExhausted, Draining, ServerLost
from efficient_empathy.llm.runner import Work, run_calls
from efficient_empathy.scoring.judges.contract import Blueprint, CheckedJudge, Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import parts_folder, write_part
from efficient_empathy.scoring.ledger.journal import FOLDER, Journal, journal_name, journals, read_journal
from efficient_empathy.scoring.ledger.spending import SpendingFile

_REPORT_S, _QUIET_REPORT_S = 0.5, 2.0
DEATHS = 3
"""So many workers may die over a unit; the last of them, and all later ones, judge its samples one by one."""
DEADLY = (
    "{deaths} workers died in a row, the last of them over this sample, out of memory perhaps: take fewer --workers, "
    "or give their machines more memory"
)
MOST_WORDS = 300
_FEW = 16
"""A judge that takes fewer samples a call has its answers kept one by one."""


Keep = Callable[[Sequence[Sample], Sequence[Judgement]], None]


@dataclass(frozen=True)
class Crew:
    """What every worker of one judge is told."""

    blueprint: Blueprint
    spec: JudgeSpec
    run: Path
    threads: int
    max_usd: float | None
    books: Any
    """The actor of `Books`."""


def report_every_s(judge: CheckedJudge) -> float:
    """How often a worker reports, and the command asks: what it takes is missing where the judge itself computes."""
    return _REPORT_S if judge.endpoint is not None else _QUIET_REPORT_S


class Worker:
    """Judges units. Raises nothing for a judge's faults: the books are told what concerns all, and stop everybody.

    A judge that breaks over one sample has failed on that sample alone.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._name = secrets.token_hex(8)
        self._workspace = Workspace(crew.run)
        self._folder = crew.run / FOLDER / self._name
        self._books = crew.books
        self._stop = asyncio.Event()
        self._building, self._alone = asyncio.Lock(), asyncio.Lock()
        self._last_taken = asyncio.Event()
        self._last_taken.set()
        self._judge: CheckedJudge | None = None
        self._budget: LeasedBudget | None = None
        self._states: Counter[str] = Counter()
        self._requests, self._cost_usd = 0, 0.0
        self._notices: list[str] = []
        self._reporter: asyncio.Task[None] | None = None

    async def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Judge the units of a batch of rows, see `unit_rows`; how many samples were judged of each."""
        counts = [await self._take(unit) for unit in units_of(batch)]
        return {"unit": batch["unit"], "judged": np.array(counts)}

    async def _take(self, unit: Unit) -> int:
        turn: Turn = await self._books.begin.remote(unit.number, self._name)
        if turn.stop or turn.is_done:
            return 0
        try:
            judge = await self._hire()
            # a unit that may have killed its workers is judged alone, lest another one is taken for the culprit
            async with self._alone if turn.deaths else nullcontext():
                await self._books.start.remote(unit.number)
                return await self._judge_unit(unit, turn.deaths, judge)
        except BudgetExhausted:
            await self._books.end_budget.remote()
        except UserError as error:
            await self._books.fail.remote(str(error))
        except Exception as error:  # of the judge's making, or of the disk's: nobody else could say what it was
            await self._books.fail.remote(f"a worker failed: {type(error).__name__}: {redact(str(error))}")
        finally:
            await self._report()
        return 0

    async def _hire(self) -> CheckedJudge:
        async with self._building:
            if self._judge is None:
                self._judge = await asyncio.to_thread(self._build)
                endpoint = self._judge.endpoint
                if endpoint is not None:
                    self._budget = LeasedBudget(self._crew.max_usd, self._lease, SpendingFile(self._folder))
                    endpoint.budget, endpoint.notify = self._budget, self._notices.append
                self._reporter = asyncio.create_task(self._keep_reporting(report_every_s(self._judge)))
            return self._judge

    def _build(self) -> CheckedJudge:
        # what was spent is in the books, not in the ledger of this folder, which there is none of
        nowhere = Workspace(Path(tempfile.gettempdir()) / f"no-run-{self._name}")
        judge = self._crew.blueprint.build(nowhere, self._crew.threads)
        if judge.spec != self._crew.spec:
            raise UserError(
                f"a worker's judge is {judge.spec}, that of the command {self._crew.spec}: give all machines of the "
                "cluster the same files, versions and environment variables"
            )
        return judge

    async def _judge_unit(self, unit: Unit, deaths: int, judge: CheckedJudge) -> int:
        samples = await asyncio.to_thread(read_unit, self._workspace.samples, unit)
        old = journals(self._crew.run, unit.number) if deaths else []
        judgements = [one for path in old for one in _judgements_of(path, judge.spec)]
        known = {one.sample_id for one in judgements}
        rest = [sample for sample in samples if sample.id not in known]
        one_by_one = deaths >= DEATHS - 1
        journal = None
        if judge.endpoint is not None or judge.batch_size < _FEW or one_by_one:
            journal = Journal(self._folder / journal_name(unit.number), judge.spec)

        def keep(_: Sequence[Sample], answers: Sequence[Judgement]) -> None:
            if journal is not None:
                journal.append(answers)
            judgements.extend(answers)
            self._count(answers)

        # one unit after the other: where two share the window they end together, and nothing is asked until more come
        before, self._last_taken = self._last_taken, (all_taken := asyncio.Event())
        try:
            await before.wait()
            if deaths >= DEATHS and rest:  # it was the next one's turn when the last worker died
                keep(rest[:1], [_failure(rest.pop(0), judge, DEADLY.format(deaths=deaths))])
            ending = await run_calls(self._work(judge, rest, keep, all_taken, one_by_one=one_by_one), self._stop)
            judge.check()
        finally:
            all_taken.set()
            if judgements:
                await asyncio.to_thread(self._write_part, judge.spec, judgements)
            await self._books.finish.remote(unit.number)
            for path in old:
                path.unlink(missing_ok=True)
            if journal is not None:
                journal.remove()
        if ending == "budget":
            await self._books.end_budget.remote()
        return len(judgements)

    def _work(
        self, judge: CheckedJudge, samples: Iterable[Sample], keep: Keep, all_taken: asyncio.Event, *, one_by_one: bool
    ) -> Work[Sample, list[Judgement]]:
        stream = iter(samples)

        def take(count: int) -> list[Sample]:
            if not (batch := list(islice(stream, count))):
                all_taken.set()
            return batch

        return Work(
            take=take,
            ask=lambda batch: self._ask(judge, batch),
            keep=keep,
            batch_size=1 if one_by_one else judge.batch_size,
            concurrency=1 if one_by_one else judge.concurrency,
            drain=judge.drain,
        )

    async def _ask(self, judge: CheckedJudge, batch: Sequence[Sample]) -> list[Judgement]:
        """Without the server that it brought, a worker is no more either: the next one begins with another server."""
        try:
            return await _ask(judge, batch)
        except ServerLost as lost:
            self._notices.append(f"{lost}: another is started.")
            with suppress(Exception):
                await self._report()
            os._exit(1)

    def _write_part(self, spec: JudgeSpec, judgements: Sequence[Judgement]) -> None:
        """Written beside, since processes on several machines share the folder of parts, and moved there whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = parts_folder(self._workspace.ledger)
        folder.mkdir(exist_ok=True)
        name = write_part(self._folder, spec, judgements)
        (self._folder / name).replace(folder / name)

    def _count(self, judgements: Sequence[Judgement]) -> None:
        self._states.update(one.state for one in judgements)
        self._requests += sum(one.requests for one in judgements)
        self._cost_usd += sum(one.cost_usd for one in judgements)

    async def _lease(self, usd: float, account: Account) -> float | None:
        grant: float | None = await self._books.lease.remote(self._name, usd, account)
        return grant

    async def _keep_reporting(self, every_s: float) -> None:
        """Until the books are gone, with the command that had opened them: then nothing more goes out."""
        while True:
            await asyncio.sleep(every_s)
            try:
                stop = await self._report()
            except Exception:  # whatever Ray calls it
                stop = True
            if stop and not self._stop.is_set() and self._judge is not None:
                self._stop.set()
                self._judge.drain()

    async def _report(self) -> bool:
        window = self._judge.window if self._judge is not None else None
        if self._budget is not None and window is not None and not window.in_flight:
            self._budget.give_back()
        report = Report(
            self._states, self._requests, self._cost_usd,
            self._budget.account if self._budget is not None else Account(),
            window.in_flight if window is not None else 0, int(window.limit) if window is not None else 0,
            tuple(self._notices),
        )  # fmt: skip
        self._states, self._requests, self._cost_usd = Counter(), 0, 0.0
        self._notices.clear()
        stop: bool = await self._books.report.remote(self._name, report)
        return stop


async def _ask(judge: CheckedJudge, batch: Sequence[Sample]) -> list[Judgement]:
    try:
        return await judge.judge(batch)
    except (UserError, BudgetExhausted, Draining):
        raise
    except Exception as error:
        if len(batch) > 1:
            return [one for sample in batch for one in await _ask(judge, [sample])]
        return [_failure(batch[0], judge, f"the judge broke: {type(error).__name__}: {redact(str(error))}")]


def _failure(sample: Sample, judge: CheckedJudge, reason: str) -> Judgement:
    return Judgement(
        sample.id, "api_error", judge.name, judge.spec.rubric, reason=reason[:MOST_WORDS], created_at=time.time()
    )


def _judgements_of(path: Path, spec: JudgeSpec) -> list[Judgement]:
    content = read_journal(path)
    return content[1] if content is not None and content[0] == spec else []
