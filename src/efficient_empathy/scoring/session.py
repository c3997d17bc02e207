"""Judges at work on samples: they are asked only for what has no answer yet, and each answer is kept as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import Misplaced, UserError
from efficient_empathy.llm.runner import Ending, SessionEnding, Watcher, Work, run
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.engine import Assignment, Engine
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.ledger.recovery import recover
from efficient_empathy.scoring.progress import ProgressDisplay, ProgressFile

CHUNK = 1024


class Pending:
    """The samples that still need judging, each at most once at a time, from a stream that is read as it is needed."""

    def __init__(
        self, samples: Iterable[Sample], ledger: Ledger, spec: JudgeSpec, under_way: Iterable[str] = ()
    ) -> None:
        self.under_way = set(under_way)
        self._samples = iter(samples)
        self._ledger, self._spec = ledger, spec
        self._stream = self._missing()

    def take(self, n: int) -> list[Sample]:
        """The next `n` or fewer; empty at the end. They count as under way until `done`."""
        return list(islice(self._stream, n))

    def done(self, samples: Iterable[Sample]) -> None:
        """They are in the ledger, or were given up."""
        self.under_way.difference_update(sample.id for sample in samples)

    def _missing(self) -> Iterator[Sample]:
        while chunk := list(islice(self._samples, CHUNK)):
            missing = self._ledger.missing(self._spec, [sample.id for sample in chunk])
            for sample in chunk:
                if sample.id in missing:
                    missing.discard(sample.id)
                    if sample.id not in self.under_way:
                        self.under_way.add(sample.id)
                        yield sample


def judging(
    samples: Iterable[Sample],
    judge: CheckedJudge,
    ledger: Ledger,
    display: ProgressDisplay,
    under_way: Iterable[str] = (),
) -> Work[Sample, list[Judgement]]:
    """The work of judging every sample that has no `ok` judgement yet and is not `under_way`, for the runner."""
    pending = Pending(samples, ledger, judge.spec, under_way)

    def keep(batch: Sequence[Sample], judgements: list[Judgement]) -> None:
        ledger.record(judge.spec, judgements)
        pending.done(batch)
        display.update(judgements)

    return Work(
        take=pending.take,
        ask=judge.judge,
        keep=keep,
        batch_size=judge.batch_size,
        concurrency=judge.concurrency,
        drain=judge.drain,
        check=judge.check,
        close=judge.close,
    )


def run_judge(
    samples: Iterable[Sample], judge: CheckedJudge, ledger: Ledger, display: ProgressDisplay, watcher: Watcher
) -> Ending:
    """Judge what has no `ok` judgement yet, call by call; see `run_work`."""
    return run_work(judging(samples, judge, ledger, display), judge, ledger, display, watcher)


def run_work(
    work: Work[Any, Any], judge: CheckedJudge, ledger: Ledger, display: ProgressDisplay, watcher: Watcher
) -> Ending:
    """Do a judge's work, which closes the judge in the end.

    The ledger notes what an endpoint's calls may come to before they go out. Raises what `runner.run_calls` raises.
    """
    if judge.endpoint is not None:
        judge.endpoint.budget.journal = ledger.commit_usd
        judge.endpoint.notify = lambda notice: watcher.console.print(notice)
    with display:
        return run(work, watcher)


class Session:
    """Judges put through the same samples, `total` of them, one after the other: what that comes to.

    Those behind an API are asked in batches where `batches` says so; `engine` has them work elsewhere.
    """

    def __init__(
        self,
        ledger: Ledger,
        console: Console,
        total: int,
        batches: BatchSettings | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.requests = 0
        self.cost_usd = 0.0
        self.judgements = 0
        self.under_way = 0
        """Samples, one for each judge, in batches that have not come back."""
        self.ending: SessionEnding = "complete"
        self._failure: UserError | None = None
        self._unspent_usd = 0.0
        """What has come back since the budget began."""
        self._ledger, self._console, self._total = ledger, console, total
        self._batches, self._engine = batches or BatchSettings(), engine

    def ask(self, judge: CheckedJudge, samples: Callable[[], Iterable[Sample]], ids: Iterable[Sequence[str]]) -> bool:
        """Judge those of `samples` that need it; `ids` are theirs, in parts. Whether the next judge may be asked."""
        if judge.note:
            self._console.print(judge.note)
        self._recover(judge)
        done = sum(list(self._ledger.states(judge.spec, part).values()).count("ok") for part in ids)
        in_batches = self._batches.batch and judge.has_batches
        window = None if in_batches else judge.window
        display = ProgressDisplay(self._console, self._total, done, window, has_pace=not in_batches)
        file = ProgressFile(self._ledger.path.parent, judge.name, judge.spec, display, self._console)
        ending: SessionEnding
        try:
            ending = run_work(self._work(judge, samples, display, done), judge, self._ledger, display, file)
        except UserError as error:
            ending, self._failure = "error", error
        under_way = sum(len(batch.rows) for batch in self._ledger.open_batches(judge.spec))
        if under_way and ending == "complete":
            ending = "waiting"
        file.end(ending, str(self._failure or ""))
        self.under_way += under_way
        if self.ending != "waiting" or ending != "complete":
            self.ending = ending
        if isinstance(self._failure, Misplaced):
            raise self._failure
        self.requests += display.requests
        self.cost_usd += display.cost_usd
        self.judgements += sum(display.states.values())
        return ending in ("complete", "waiting")

    def _work(
        self, judge: CheckedJudge, samples: Callable[[], Iterable[Sample]], display: ProgressDisplay, done: int
    ) -> Work[Any, Any]:
        if self._batches.batch and judge.has_batches:
            from efficient_empathy.scoring.batches.work import Batching, BatchWork

            return BatchWork(Batching(samples, judge, self._ledger, display, self._console, self._batches)).work()
        under_way = {sample for batch in self._ledger.open_batches(judge.spec) for sample, _, _ in batch.rows}
        if under_way:
            self._console.print(
                f"{len(under_way):,} samples are in batches under way and are not asked for twice: --batch collects "
                "them."
            )
        if self._engine is not None:
            return self._engine.work(
                Assignment(judge, self._ledger, display, self._console, self._total, done, under_way)
            )
        return judging(samples(), judge, self._ledger, display, under_way)

    def _recover(self, judge: CheckedJudge) -> None:
        """Take in what was judged on a cluster that was killed, and what it had of the budget."""
        self._unspent_usd += recover(self._ledger.path.parent, self._ledger)
        if judge.endpoint is not None and self._unspent_usd:
            judge.endpoint.budget.take_back(self._unspent_usd)
            judge.endpoint.budget.settle(self._unspent_usd, 0.0)
            self._unspent_usd = 0.0

    def give_up(self, progress: str) -> None:
        """Raise the `UserError` that ended it, if one did; `progress` says what there is all the same."""
        if self._failure is not None:
            raise UserError(f"{self._failure} ({progress}; the same command goes on from there.)") from self._failure
