"""Judges at work on samples: they are asked only for what has no answer yet, and each answer is kept as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import Misplaced, UserError
from efficient_empathy.llm.runner import Ending, Watcher, Work, run
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judgement, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.progress import ProgressDisplay, ProgressFile

CHUNK = 1024


class Pending:
    """The samples that still need judging, each at most once at a time, from a stream that is read as it is needed."""

    def __init__(self, samples: Iterable[Sample], ledger: Ledger, spec: JudgeSpec) -> None:
        self.under_way: set[str] = set()
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
    samples: Iterable[Sample], judge: CheckedJudge, ledger: Ledger, display: ProgressDisplay
) -> Work[Sample, list[Judgement]]:
    """The work of judging every sample that has no `ok` judgement yet, for the runner."""
    pending = Pending(samples, ledger, judge.spec)

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
    samples: Iterable[Sample],
    judge: CheckedJudge,
    ledger: Ledger,
    display: ProgressDisplay,
    watcher: Watcher,
) -> Ending:
    """Judge what has no `ok` judgement yet; the judge is closed in the end.

    The ledger notes what an endpoint's calls may come to before they go out. Raises what `runner.run_calls` raises.
    """
    if judge.endpoint is not None:
        judge.endpoint.budget.journal = ledger.commit_usd
        judge.endpoint.notify = lambda notice: watcher.console.print(notice)
    with display:
        return run(judging(samples, judge, ledger, display), watcher)


class Session:
    """Judges put through the same samples, `total` of them, one after the other: what that comes to."""

    def __init__(self, ledger: Ledger, console: Console, total: int) -> None:
        self.requests = 0
        self.cost_usd = 0.0
        self.judgements = 0
        self.ending: Ending | Literal["error"] = "complete"
        self._failure: UserError | None = None
        self._ledger, self._console, self._total = ledger, console, total

    def ask(self, judge: CheckedJudge, samples: Iterable[Sample], ids: Iterable[Sequence[str]]) -> bool:
        """Judge those of `samples` that need it; `ids` are theirs, in parts. Whether it came to its end."""
        if judge.note:
            self._console.print(judge.note)
        done = sum(list(self._ledger.states(judge.spec, part).values()).count("ok") for part in ids)
        display = ProgressDisplay(self._console, self._total, done, judge.window)
        file = ProgressFile(self._ledger.path.parent, judge.name, judge.spec, display, self._console)
        try:
            self.ending = run_judge(samples, judge, self._ledger, display, file)
        except UserError as error:
            self.ending, self._failure = "error", error
        file.end(self.ending, str(self._failure or ""))
        if isinstance(self._failure, Misplaced):
            raise self._failure
        self.requests += display.requests
        self.cost_usd += display.cost_usd
        self.judgements += sum(display.states.values())
        return self.ending == "complete"

    def give_up(self, progress: str) -> None:
        """Raise the `UserError` that ended it, if one did; `progress` says what there is all the same."""
        if self._failure is not None:
            raise UserError(f"{self._failure} ({progress}; the same command goes on from there.)") from self._failure
