"""The phases of a cascade, each of which judges what the ledger lacks and reads it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.tolerance import fewest_of, most_of
from efficient_empathy.labelling.cascade.goals import Goal, Labels
from efficient_empathy.labelling.cascade.guesses import Guesses, read_scores
from efficient_empathy.labelling.cascade.head import refit
from efficient_empathy.labelling.cascade.order import Flags, Places, Promise, most_doubtful, promise, shuffled
from efficient_empathy.labelling.cascade.planning import Plan
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.cascade.words import promise_text
from efficient_empathy.scoring.judges.checked import CheckedJudge
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import Session
from efficient_empathy.scoring.stage import sample_ids

BOUGHT = 0.6
"""Of the judgements that the plan expects, beside the draw, the share that the rounds of refitting may buy."""
FEWEST_LESSONS = 50
"""A head is not refitted on less."""


class UnfinishedError(Exception):
    """Ctrl-C, the budget or a dead endpoint ended a phase: what is judged is kept, nothing is promised."""


@dataclass
class Work:
    """What all phases need. `expert` makes the judge behind the distilled one: a new one for every phase that asks it.

    `spec` is what its judgements are kept under; `sessions` has what every phase came to.
    """

    workspace: Workspace
    settings: CascadeSettings
    rubric: Rubric
    expert: Callable[[], CheckedJudge]
    spec: JudgeSpec
    ledger: Ledger
    console: Console
    sessions: list[Session] = field(default_factory=list)

    def guess(self, judge: CheckedJudge, total: int) -> None:
        """Let the distilled judge score what the ledger lacks of all `total` samples. Raises `UnfinishedError`."""
        samples = (sample for chunk in scan_samples(self.workspace.samples, 1024) for sample in chunk)
        self._judge(judge, samples, sample_ids(self.workspace.samples), total)

    def ask(self, what: str, wanted: set[str]) -> None:
        """Let the expert judge what the ledger lacks of the samples `wanted`. Raises `UnfinishedError`."""
        missing = self.ledger.missing(self.spec, list(wanted))
        if not missing:
            return
        expert = self.expert()
        self.console.print(f"{what}: {len(missing):,} samples for {expert.name}", markup=False, highlight=False)
        samples = (s for chunk in scan_samples(self.workspace.samples, 1024) for s in chunk if s.id in missing)
        self._judge(expert, samples, [list(wanted)], len(wanted))

    def _judge(self, judge: CheckedJudge, samples: Iterable[Sample], ids: Iterable[Sequence[str]], total: int) -> None:
        self.sessions.append(Session(self.ledger, self.console, total))
        if not self.sessions[-1].ask(judge, samples, ids):
            raise UnfinishedError


class Phases:
    """The draw, the rounds, the cut, the rest, the check: each judges what the ledger lacks, then reads it back."""

    def __init__(self, work: Work, guesses: Guesses, goal: Goal, plan: Plan) -> None:
        self._work, self._goal, self._plan = work, goal, plan
        self.guesses = guesses
        order = shuffled(guesses.ids, work.settings.seed)
        self._drawn, self._others = order[: plan.calibration], order[plan.calibration :]
        self._bought: Flags = np.zeros(len(guesses.ids), np.bool_)
        self._checked: Places = np.zeros(0, np.intp)
        self._promise: Promise | None = None
        self._answered: Flags = self._bought

    def run(self) -> None:
        """Everything that costs. Raises `UnfinishedError`."""
        settings, plan = self._work.settings, self._plan
        self._judge("Calibrating", self._drawn)
        batch = int(BOUGHT * (plan.judged - plan.calibration)) // max(1, settings.rounds)
        for number in range(1, settings.rounds + 1):
            self._round(number, batch)
        probabilities = self.guesses.probabilities()
        doubt, labels = self._goal.doubt(probabilities), probabilities.argmax(axis=1)
        truth = self._truth(np.flatnonzero(self._bought | self._flags(self._drawn)))
        self._promise = promise(
            self._goal, settings.method, settings.error, settings.risk, doubt, labels, truth, self._drawn,
            self._bought,
        )  # fmt: skip
        free = ~self._bought & ~self._flags(self._drawn)
        self._answered = self._promise.cut.answers(doubt) & free
        told = promise_text(self.promised(), len(doubt), self._work.expert().name)
        self._work.console.print(told, markup=False, highlight=False)
        self._judge("Judging the rest", np.flatnonzero(free & ~self._answered))
        if checks := settings.checks(len(doubt)):
            self._checked = self._others[:checks]
            self._judge("Checking", self._checked[self._answered[self._checked]])

    def _round(self, number: int, batch: int) -> None:
        """Buy what is most doubtful, whether it was drawn or not, and refit the head on it without what was drawn."""
        doubt = self._goal.doubt(self.guesses.probabilities())
        new = most_doubtful(doubt, ~self._bought, batch)
        self._judge(f"Round {number}", new)
        self._bought = self._bought | self._flags(new)
        lessons = np.flatnonzero(self._bought & ~self._flags(self._drawn))
        scores = read_scores(self._work.ledger, self._work.spec, [self.guesses.ids[i] for i in lessons])
        known = ~np.isnan(scores).any(axis=1)
        if known.sum() >= FEWEST_LESSONS:
            self.guesses = self.guesses.refitted(refit(self.guesses.tables, lessons[known], scores[known]))

    def promised(self) -> dict[str, Any]:
        """The promise as plain values."""
        found = self._promise
        assert found is not None, "there is no promise before `run` has come to it"
        answered = int(self._answered.sum())
        return {
            "population": found.population,
            "drawn": found.drawn,
            "failed": found.failed,
            "allowed": found.allowed,
            "tolerated": found.cut.tolerated,
            "errors": found.cut.errors,
            "limit": None if np.isinf(found.cut.limit) else found.cut.limit,
            "answered": answered,
        }

    def checked(self) -> dict[str, Any] | None:
        """What was promised, on samples drawn for nothing else: the labels that they were to get against the expert's.

        Where the expert had been asked anyway its label is what they were to get. `interval` is the exact one, at 95 %,
        of the share of wrong labels among all that were not drawn.
        """
        if not len(self._checked):
            return None
        truth = self._truth(self._checked)[self._checked]
        known = truth >= 0
        labels = self.guesses.probabilities().argmax(axis=1)[self._checked]
        wrong = self._answered[self._checked] & known
        wrong[known] &= self._goal.wrong(labels[known], truth[known])
        n, rest, errors = int(known.sum()), len(self._others), int(wrong.sum())
        low, high = (bound(rest, n, errors, 0.025) / rest if n else 0.0 for bound in (fewest_of, most_of))
        return {
            "checked": n,
            "judged": int(self._answered[self._checked].sum()),
            "failed": int((~known).sum()),
            "wrong": errors,
            "share": round(errors / n, 4) if n else None,
            "interval": [round(low, 4), round(high, 4)] if n else None,
        }

    def keep(self, spec: JudgeSpec, judge: str) -> None:
        """Write the distilled judge's answers, those that stand, into the ledger under the cascade's own key."""
        now = time.time()
        places = np.flatnonzero(self._answered)
        for start in range(0, len(places), 4096):
            rows = [self.guesses.judgement(i, judge, self._work.rubric.hash, now) for i in places[start : start + 4096]]
            self._work.ledger.record(spec, rows)

    def _judge(self, what: str, places: Places) -> None:
        self._work.ask(what, {self.guesses.ids[i] for i in places})

    def _truth(self, places: Places) -> Labels:
        """The expert's labels of the samples at `places`; −1 for all others, and where there is no judgement."""
        truth = np.full(len(self.guesses.ids), -1, np.intp)
        scores = read_scores(self._work.ledger, self._work.spec, [self.guesses.ids[i] for i in places])
        truth[places] = self.guesses.labels_of(scores)
        return truth

    def _flags(self, places: Places) -> Flags:
        flags = np.zeros(len(self.guesses.ids), np.bool_)
        flags[places] = True
        return flags
