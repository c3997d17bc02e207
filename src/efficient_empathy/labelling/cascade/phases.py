"""The plan of a cascade, made before anything is spent, and its phases.

Each phase judges what the ledger lacks and reads it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from efficient_empathy.dialogues import Sample, scan_ids
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.tolerance import fewest_draws, fewest_of, most_of, tolerated_errors
from efficient_empathy.labelling.cascade.guarantee import (
    Evidence,
    Flags,
    Goal,
    Guarantee,
    Places,
    most_uncertain,
    prove,
    shuffle,
)
from efficient_empathy.labelling.cascade.predictions import Predictions, read_scores
from efficient_empathy.labelling.cascade.record import CheckRecord, GuaranteeRecord, Plan, guarantee_text
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.subsets import Labels, Probabilities
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.judges.contract import CheckedJudge, JudgeSpec
from efficient_empathy.scoring.ledger import Ledger
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.session import Session
from efficient_empathy.scoring.stage import read_samples

BOUGHT = 0.6
"""Of the judgements that the plan expects, beside the draw, the share that the rounds of refitting may buy."""
FEWEST_EXAMPLES = 50
"""A head is not refitted on less."""


class UnfinishedError(Exception):
    """Ctrl-C, the budget or a dead endpoint ended a phase: what is judged is kept, nothing is guaranteed."""


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
    batches: BatchSettings = field(default_factory=BatchSettings)
    sessions: list[Session] = field(default_factory=list)

    def predict(self, judge: CheckedJudge, total: int) -> None:
        """Let the distilled judge score what the ledger lacks of all `total` samples. Raises `UnfinishedError`."""
        self._judge(judge, lambda: read_samples(self.workspace.samples), scan_ids(self.workspace.samples), total)

    def ask(self, phase: str, ids: set[str]) -> None:
        """Let the expert judge what the ledger lacks of the samples with these `ids`. Raises `UnfinishedError`."""
        missing = self.ledger.missing(self.spec, list(ids))
        if not missing:
            return
        expert = self.expert()
        self.console.print(f"{phase}: {len(missing):,} samples for {expert.name}")

        def samples() -> Iterable[Sample]:
            return (sample for sample in read_samples(self.workspace.samples) if sample.id in missing)

        self._judge(expert, samples, [list(ids)], len(ids))

    def _judge(
        self,
        judge: CheckedJudge,
        samples: Callable[[], Iterable[Sample]],
        ids: Iterable[Sequence[str]],
        total: int,
    ) -> None:
        session = Session(self.ledger, self.console, total, self.batches)
        self.sessions.append(session)
        if not session.ask(judge, samples, ids) or session.under_way:
            raise UnfinishedError


class Phases:
    """The draw, the rounds, the cut, the rest, the check: each judges what the ledger lacks, then reads it back."""

    def __init__(self, work: Work, predictions: Predictions, goal: Goal, plan: Plan) -> None:
        self._work, self._goal, self._plan = work, goal, plan
        self.predictions = predictions
        order = shuffle(predictions.ids, work.settings.seed)
        self._drawn, self._others = order[: plan.calibration], order[plan.calibration :]
        self._bought: Flags = np.zeros(len(predictions.ids), np.bool_)
        self._checked: Places = np.zeros(0, np.intp)
        self._guarantee: Guarantee | None = None
        self._answered: Flags = self._bought

    def run(self) -> None:
        """Everything that costs. Raises `UnfinishedError`."""
        settings, plan = self._work.settings, self._plan
        self._judge("Calibrating", self._drawn)
        batch = int(BOUGHT * (plan.judgements - plan.calibration)) // max(1, settings.rounds)
        for number in range(1, settings.rounds + 1):
            self._round(number, batch)
        probabilities = self.predictions.probabilities()
        uncertainty = self._goal.uncertainty(probabilities)
        judged = self._bought | self._flags(self._drawn)
        while True:  # a goal may need to know what lies above the cut, and then tighten it
            truth = self._truth(np.flatnonzero(judged))
            evidence = Evidence(probabilities, truth, judged, self._drawn, self._bought)
            self._guarantee = prove(self._goal, settings.method, settings.error, settings.risk, evidence)
            before, self._answered = self._answered, self._guarantee.cut.answers(uncertainty) & ~judged
            if not np.array_equal(before, self._answered):
                text = guarantee_text(self.guarantee(), len(probabilities), self._work.expert().name)
                self._work.console.print(text)
            rest = ~judged & ~self._answered
            if not rest.any():
                break
            self._judge("Judging the rest", np.flatnonzero(rest))
            judged = judged | rest
        if checks := settings.checks(len(probabilities)):
            self._checked = self._others[:checks]
            self._judge("Checking", self._checked[self._answered[self._checked]])

    def _round(self, number: int, batch: int) -> None:
        """Buy what is most uncertain, whether it was drawn or not, and refit the head on it without what was drawn."""
        uncertainty = self._goal.uncertainty(self.predictions.probabilities())
        new = most_uncertain(uncertainty, ~self._bought, batch)
        self._judge(f"Round {number}", new)
        self._bought = self._bought | self._flags(new)
        examples = np.flatnonzero(self._bought & ~self._flags(self._drawn))
        scores = self._scores(examples)
        has_scores = ~np.isnan(scores).any(axis=1)
        if has_scores.sum() >= FEWEST_EXAMPLES:
            self.predictions = self.predictions.refit(examples[has_scores], scores[has_scores])

    def guarantee(self) -> GuaranteeRecord:
        """What was proven."""
        proof = self._guarantee
        assert proof is not None, "there is no guarantee before `run` has come to it"
        return GuaranteeRecord(
            population=proof.population,
            draws=proof.draws,
            failed=proof.failed,
            allowed=proof.allowed,
            tolerated=proof.cut.tolerated,
            errors=proof.cut.errors,
            limit=None if np.isinf(proof.cut.limit) else proof.cut.limit,
            answered=int(self._answered.sum()),
        )

    def check(self) -> CheckRecord | None:
        """How the guarantee was kept on the samples drawn to check it; None where none were.

        Where the expert had been asked anyway its label is what they were to get.
        """
        if not len(self._checked):
            return None
        truth = self._truth(self._checked)[self._checked]
        has_truth = truth >= 0
        labels = self.predictions.probabilities().argmax(axis=1)[self._checked]
        wrong = self._answered[self._checked] & has_truth
        wrong[has_truth] &= self._goal.wrong(labels[has_truth], truth[has_truth])
        n, rest, errors = int(has_truth.sum()), len(self._others), int(wrong.sum())
        low, high = (bound(rest, n, errors, 0.025) / rest if n else 0.0 for bound in (fewest_of, most_of))
        return CheckRecord(
            checked=n,
            judgements=int(self._answered[self._checked].sum()),
            failed=int((~has_truth).sum()),
            wrong=errors,
            share=round(errors / n, 4) if n else None,
            interval=(round(low, 4), round(high, 4)) if n else None,
        )

    def record_answers(self, spec: JudgeSpec, judge: str) -> None:
        """Write the distilled judge's answers, those that stand, into the ledger under the cascade's own key."""
        now = time.time()
        places = np.flatnonzero(self._answered)
        for start in range(0, len(places), 4096):
            rows = [
                self.predictions.judgement(i, judge, self._work.rubric.hash, now) for i in places[start : start + 4096]
            ]
            self._work.ledger.record(spec, rows)

    def _judge(self, phase: str, places: Places) -> None:
        self._work.ask(phase, {self.predictions.ids[i] for i in places})

    def _truth(self, places: Places) -> Labels:
        """The expert's labels of the samples at `places`; −1 for all others, and where there is no judgement."""
        truth = np.full(len(self.predictions.ids), -1, np.intp)
        truth[places] = self.predictions.labels_of(self._scores(places), places)
        return truth

    def _scores(self, places: Places) -> npt.NDArray[np.float64]:
        ids = [self.predictions.ids[i] for i in places]
        return read_scores(self._work.ledger, self._work.spec, ids, self._work.rubric.axis_names)

    def _flags(self, places: Places) -> Flags:
        flags = np.zeros(len(self.predictions.ids), np.bool_)
        flags[places] = True
        return flags


SIZES = 60
"""Calibration samples of so many sizes are weighed against each other."""
WORTH = 0.01
"""A share of calls that is worth the trouble of saving."""


def plan_cascade(
    probabilities: Probabilities, goal: Goal, risk: float, *, calibration: int | None = None, check: int = 0
) -> Plan:
    """The plan that is expected to judge least; `calibration` fixes the size of the draw.

    `probabilities` of each subset, shape (samples, subsets). Expected is what the judge's own probabilities say: where
    it is less right than it believes, more will have to be judged. Raises `UserError` where the goal cannot be reached
    by judging less than everything.
    """
    n = len(probabilities)
    uncertainty = np.sort(goal.uncertainty(probabilities))
    errors = np.cumsum(uncertainty, dtype=np.float64)
    allowance = goal.allowance(probabilities)
    sizes = [calibration] if calibration is not None else _sizes(n)
    plans = [_plan(errors, allowance, risk, n, min(size, n), check) for size in sizes]
    best = max(plans, key=lambda plan: (plan.saved, -plan.calibration))
    if best.tolerated < 0:
        fewest = fewest_draws(n, best.allowed, risk)
        if fewest >= n:
            rest = "nothing less than judging all of them proves it: use --judge openai, or accept more errors"
        elif calibration is None:
            rest = f"{fewest:,} would have to be drawn and judged at least: judge all, or accept more errors"
        else:
            rest = (
                f"a calibration sample of {calibration:,} proves nothing even without a single error, {fewest:,} might"
            )
        raise UserError(f"{goal.text()} cannot be guaranteed for {n:,} samples: {rest}")
    if best.saved < WORTH:
        raise UserError(
            f"{goal.text()} would save next to nothing on {n:,} samples: the distilled judge is not sure enough. "
            "Judge all (--judge openai), accept more errors, or distil a better judge"
        )
    return best


def _sizes(n: int) -> list[int]:
    return sorted({int(size) for size in np.geomspace(min(20, n), max(1, 0.9 * n), SIZES)})


def _plan(errors: np.ndarray, allowance: int, risk: float, n: int, draws: int, check: int) -> Plan:
    tolerance = tolerated_errors(n, draws, allowance, risk)
    reach = (tolerance + 1) * (n + 1) / (draws + 1) if tolerance >= 0 else 0.0
    answers = int(np.searchsorted(errors, reach))
    share = answers / n
    judgements = n - round(answers * (1 - draws / n))
    checks = round(min(check, max(0, n - draws)) * share * (1 - draws / n)) if tolerance >= 0 else 0
    return Plan(
        samples=n, calibration=draws, judgements=judgements, check=checks, allowed=allowance, tolerated=tolerance,
        saved=1 - (judgements + checks) / n,
    )  # fmt: skip
