"""The phases of a cascade: each judges what the ledger lacks and reads it back."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.statistics.tolerance import fewest_of, most_of
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
from efficient_empathy.labelling.cascade.predictions import Predictions
from efficient_empathy.labelling.cascade.record import CheckRecord, GuaranteeRecord, Plan, guarantee_text
from efficient_empathy.labelling.cascade.work import Work
from efficient_empathy.labelling.subsets import Labels
from efficient_empathy.scoring.judges.contract import JudgeSpec

BOUGHT = 0.6
"""Of the judgements that the plan expects, beside the draw, the share that the rounds of refitting may buy."""
FEWEST_EXAMPLES = 50
"""A head is not refitted on less."""


class Phases:
    """The draw, the rounds, the cut, the rest, the check: each judges what the ledger lacks, then reads it back.

    `bought` are samples that the expert has judged on purpose before.
    """

    def __init__(self, work: Work, predictions: Predictions, goal: Goal, plan: Plan, bought: Flags) -> None:
        self._work, self._goal, self._plan = work, goal, plan
        self.predictions = predictions
        order = shuffle(predictions.ids, work.settings.seed)
        self._drawn, self._others = order[: plan.calibration], order[plan.calibration :]
        self._bought = bought
        self._checked: Places = np.zeros(0, np.intp)
        self._guarantee: Guarantee | None = None
        self._answered: Flags = np.zeros(len(predictions.ids), np.bool_)

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
                text = guarantee_text(self.guarantee(), len(probabilities), self._work.expert.name)
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

    def answered(self, names: Sequence[str]) -> dict[str, int]:
        """How many answers of each step stand, by its name."""
        counts = np.bincount(self._steps()[self._answered], minlength=len(names))
        return {name: int(count) for name, count in zip(names, counts, strict=True)}

    def record_answers(self, spec: JudgeSpec, names: Sequence[str]) -> None:
        """Write the steps' answers, those that stand, into the ledger under the cascade's own key."""
        now, steps = time.time(), self._steps()
        places = np.flatnonzero(self._answered)
        for start in range(0, len(places), 4096):
            rows = [
                self.predictions.judgement(i, names[steps[i]], self._work.rubric.hash, now)
                for i in places[start : start + 4096]
            ]
            self._work.ledger.record(spec, rows)

    def _steps(self) -> Places:
        steps = self.predictions.steps
        return np.zeros(len(self.predictions.ids), np.intp) if steps is None else steps

    def _judge(self, phase: str, places: Places) -> None:
        self._work.ask(self._work.expert, phase, {self.predictions.ids[i] for i in places})

    def _truth(self, places: Places) -> Labels:
        """The expert's labels of the samples at `places`; −1 for all others, and where there is no judgement."""
        truth = np.full(len(self.predictions.ids), -1, np.intp)
        truth[places] = self.predictions.labels_of(self._scores(places), places)
        return truth

    def _scores(self, places: Places) -> npt.NDArray[np.float64]:
        return self._work.scores(self._work.expert, [self.predictions.ids[i] for i in places])

    def _flags(self, places: Places) -> Flags:
        flags = np.zeros(len(self.predictions.ids), np.bool_)
        flags[places] = True
        return flags
