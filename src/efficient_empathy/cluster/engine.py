"""Judges at work on a cluster: Ray Data hands the units to a pool of workers, and the command follows.

The parts that workers write are the checkpoint. Ray Data's own (`ray.data.checkpoint`, as of 2.60) knows a sample once
the whole block around it is written, reads all ids of a run into every worker's memory, counts failures as done, and
deletes what a killed job had not committed: judgements that were paid for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.cluster.books import Books, Tally
from efficient_empathy.cluster.connection import check_machines, connect, count_gpus
from efficient_empathy.cluster.reading import is_divisible, is_in_reach, read_on_cluster
from efficient_empathy.cluster.settings import ClusterSettings
from efficient_empathy.cluster.units import MOST, Unit, plan_units, unit_rows, unit_size
from efficient_empathy.cluster.worker import Crew, Worker, report_every_s
from efficient_empathy.dialogues.source import Source
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.errors import BudgetExhausted
from efficient_empathy.llm.runner import Work
from efficient_empathy.scoring.engine import Assignment, Engine
from efficient_empathy.scoring.ledger.recovery import clear

_CALLS_EACH = 16
"""Requests under way that are worth a process of their own."""
_MOST_CALLS = 512
"""Samples of a unit, for a judge behind an API."""
_PATIENCE_S = 60.0


@contextmanager
def open_engine(settings: ClusterSettings) -> Iterator[Engine | None]:
    """The cluster that the settings name, for as long as the block lasts; None where they name none."""
    if settings.cluster is None:
        yield None
        return
    with ExitStack() as stack:
        yield RayEngine(settings, stack)


class RayEngine:
    """Has judges work on a cluster, to which it connects when there is something to judge."""

    def __init__(self, settings: ClusterSettings, stack: ExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._cpus = 0

    def read(self, source: Source, run: Path) -> Iterator[pl.DataFrame] | None:
        """See `Engine`."""
        if not is_divisible(source):
            return None
        self._connect(run)
        return read_on_cluster(source, run) if is_in_reach(source) else None

    def _connect(self, run: Path) -> None:
        if not self._cpus:
            self._stack.enter_context(connect(self._settings))
            self._cpus = check_machines(run)

    def work(self, assignment: Assignment) -> Work[Any, Any]:
        """See `Engine`."""
        run = assignment.ledger.path.parent.absolute()
        rest = assignment.total - assignment.done - len(assignment.under_way)
        if rest <= 0:
            return Work(take=lambda _: [], ask=_nothing, keep=lambda *_: None, close=assignment.judge.close)
        self._connect(run)
        return _Job(assignment, run, self._workers(assignment), rest).work()

    def _workers(self, assignment: Assignment) -> int:
        wanted, window = self._settings.workers, assignment.judge.window
        gpus = assignment.judge.blueprint.gpus_each
        if gpus is not None:
            count = count_engines(wanted, self._cpus, gpus, count_gpus() if gpus else [])
            if wanted is not None and count < wanted:
                assignment.console.print(f"{count} workers instead of {wanted}: the cluster has no GPUs for more.")
            return count
        count = count_workers(wanted, self._cpus, window.maximum if window is not None else None)
        if wanted is not None and count < wanted:
            assignment.console.print(
                f"{count} workers instead of {wanted}: each takes a processor of the cluster, which has {self._cpus}, "
                "and one of the calls under way at least."
            )
        return count


def count_workers(wanted: int | None, cpus: int, calls: int | None) -> int:
    """How many workers there are, of those `wanted`; `calls` are those that may be under way, None without a limit."""
    if calls is None:
        return min(wanted or cpus, cpus)
    return max(1, min(wanted or calls // _CALLS_EACH, cpus, calls))


def count_engines(wanted: int | None, cpus: int, gpus: int, machines: Sequence[int]) -> int:
    """How many workers there are, of those `wanted`, with an engine each on `gpus` GPUs of one machine, 0 for none.

    `machines` are the GPUs of each. Raises `UserError` where no machine has enough.
    """
    if not gpus:
        return min(wanted or 1, cpus)
    most = sum(there // gpus for there in machines)
    if not most:
        raise UserError(
            f"no machine of the cluster has {gpus} GPU{'s' * (gpus > 1)} for vLLM: start Ray on one that has, change "
            "--gpus (0 for a vLLM built for processors), or serve the model yourself and name the server: --judge "
            "openai:MODEL@http://HOST:8000/v1"
        )
    return min(wanted or most, most, cpus)


async def _nothing(_: Sequence[Any]) -> None:
    pass


class _Job:
    """One judge's samples on their way through the cluster."""

    def __init__(self, assignment: Assignment, run: Path, workers: int, rest: int) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._to, self._run, self._workers = assignment, run, workers
        judge = assignment.judge
        self._budget = judge.endpoint.budget if judge.endpoint is not None else None
        max_usd, spent_usd = (self._budget.max_usd, self._budget.spent_usd) if self._budget is not None else (None, 0.0)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._ray = ray
        self._books = (
            ray.remote(Books)
            .options(num_cpus=0, scheduling_strategy=here)
            .remote(assignment.ledger.path.absolute(), workers, max_usd, spent_usd)
        )
        share = max(1, (judge.window.maximum if judge.window is not None else workers) // workers)
        self._crew = Crew(judge.blueprint.elsewhere(share), judge.spec, run, 1, max_usd, self._books)
        self._units = [unit_rows(unit).to_arrow() for unit in self._plan(rest)]
        self._failure: Exception | None = None
        self._over = threading.Event()
        self._taken = False

    def work(self) -> Work[Any, Any]:
        """One item for the runner, all of it: from the first unit to the last."""

        def take(_: int) -> list[None]:
            items, self._taken = [] if self._taken else [None], True
            return items

        return Work(take=take, ask=self._follow, keep=lambda *_: None, drain=self._drain, close=self._close)

    def _drain(self) -> None:
        self._books.stop.remote()

    async def _follow(self, _: Sequence[None]) -> None:
        """Until every unit was taken or left. Raises what ended it early, after what was received is kept."""
        threading.Thread(target=self._execute, daemon=True).start()
        tally, started, workers = Tally(), time.monotonic(), 0
        while not self._over.is_set():
            await asyncio.to_thread(self._over.wait, report_every_s(self._to.judge))
            tally = await self._look()
            workers = max(workers, tally.workers)
            if not workers and time.monotonic() - started > _PATIENCE_S:
                self._to.console.print("No worker has begun yet: the cluster's processors may be busy with other work.")
                workers = 1
        if tally.error is not None:
            raise UserError(tally.error)
        if self._failure is not None:
            raise self._failed(self._failure) from self._failure
        if tally.is_out_of_money:
            raise BudgetExhausted("")

    def _failed(self, error: Exception) -> UserError:
        reason = redact(str(error)).strip().splitlines() or [""]
        return UserError(
            f"the cluster failed ({type(error).__name__}: {reason[0]}): what was judged is kept; see to the cluster, "
            "then run the same command again"
        )

    async def _look(self) -> Tally:
        try:
            tally: Tally = await asyncio.to_thread(self._ray.get, self._books.tally.remote())
        except self._ray.exceptions.RayError as error:
            raise self._failed(error) from error
        for notice in tally.notices:
            self._to.console.print(notice)
        if (window := self._to.judge.window) is not None:
            window.limit, window.in_flight = float(tally.limit or window.maximum), tally.in_flight
        self._to.ledger.adopt()
        self._to.display.count(tally.states, tally.requests, tally.cost_usd)
        return tally

    def _execute(self) -> None:
        """In a thread of its own: run the data set, whose rows say no more than which unit is over."""
        try:
            from ray.data import ActorPoolStrategy, from_arrow

            if self._units:
                judged = from_arrow(self._units).map_batches(
                    Worker,
                    fn_constructor_args=(self._crew,),
                    batch_size=1,
                    batch_format="numpy",
                    num_cpus=1,
                    num_gpus=self._to.judge.blueprint.gpus_each or None,
                    compute=ActorPoolStrategy(
                        size=min(self._workers, len(self._units)),
                        max_tasks_in_flight_per_actor=2,
                        max_concurrent_calls_per_actor=2,
                    ),
                )
                judged.materialize()
        except Exception as error:
            self._failure = error
        finally:
            self._over.set()

    def _plan(self, rest: int) -> Iterator[Unit]:
        to = self._to
        samples = Workspace(self._run).samples
        most = _MOST_CALLS if to.judge.window is not None else MOST
        return plan_units(
            samples, to.ledger, to.judge.spec, lambda left: unit_size(left, self._workers, most), rest, to.under_way,
            has_repeats=to.total < _rows(samples),
        )  # fmt: skip

    async def _close(self) -> None:
        with suppress(self._ray.exceptions.RayError):  # without them, what the ledger was told before stands
            if self._over.is_set():
                spent = await asyncio.to_thread(self._ray.get, self._books.close.remote())
                if self._budget is not None:
                    self._budget.settle(0.0, spent)
                clear(self._run)
            self._ray.kill(self._books)
        await self._to.judge.close()


def _rows(samples: Path) -> int:
    rows: int = pl.scan_parquet(samples, glob=False).select(pl.len()).collect().item()
    return rows
