"""Steps between the distilled judge and the expert: judges that cost less, asked about what is still uncertain.

Their scores need not be the expert's, nor come with distributions: a trial, samples that the step and the expert both
judge, tells what they are worth. The trial is bought on purpose, apart from the draw that proves the guarantee, so the
guarantee holds whatever the trial shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from efficient_empathy.dialogues import scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.cascade.guarantee import Flags, Goal, Places, most_uncertain, shuffle
from efficient_empathy.labelling.cascade.phases import FEWEST_EXAMPLES
from efficient_empathy.labelling.cascade.plan import plan_cascade
from efficient_empathy.labelling.cascade.predictions import Predictions
from efficient_empathy.labelling.cascade.record import Plan, StepRecord, step_text
from efficient_empathy.labelling.cascade.work import Asked, Work

PRICED = 256
"""The price of a judgement is estimated on so many samples."""
SEEDS = 1_000_003
"""Between the seeds of the draw and of the trials."""


@dataclass(frozen=True)
class Taken:
    """What the steps came to: what is known of every sample by now, and how the work with the expert is planned."""

    predictions: Predictions
    bought: Flags
    plan: Plan
    records: tuple[StepRecord, ...] = ()


def price_of(asked: Asked, work: Work) -> float | None:
    """Dollars a judgement, by the requests for the run's first samples; None where no price is known."""
    judge = asked.first
    if judge.request is None or judge.endpoint.price is None:
        return None
    first = next(iter(scan_samples(work.workspace.samples, PRICED)))
    share = judge.endpoint.price.batch if work.batches.batch else 1.0
    dollars = [share * judge.endpoint.estimate(**judge.request(sample)).cost_usd for sample in first]
    return float(sum(dollars)) / len(dollars)


def first_plan(work: Work, predictions: Predictions, goal: Goal, steps: Sequence[Asked]) -> Taken:
    """What is known before anything is spent: steps may only make it cheaper."""
    nothing = np.zeros(len(predictions.ids), np.bool_)
    plan = _plan(work, predictions, goal, nothing, 0.0)
    records = []
    for step in steps:
        price = price_of(step, work)
        cost = None if price is None else round(price * plan.uncertain, 4)
        trial = min(work.settings.trial, plan.uncertain)
        records.append(StepRecord(judge=step.name, samples=plan.uncertain, trial=trial, cost_usd=cost))
    return Taken(predictions, nothing, plan, tuple(records))


def take_steps(work: Work, start: Taken, goal: Goal, steps: Sequence[Asked]) -> Taken:
    """Ask each step, after a trial, about what is uncertain by then. Raises `UnfinishedError`."""
    taken = Taken(start.predictions, start.bought, start.plan)
    for number, step in enumerate(steps, 1):
        taken = _take(work, taken, goal, step, number)
    return taken


def _take(work: Work, taken: Taken, goal: Goal, step: Asked, number: int) -> Taken:
    predictions, ids = taken.predictions, taken.predictions.ids
    uncertainty = goal.uncertainty(predictions.probabilities())
    places = np.sort(most_uncertain(uncertainty, ~taken.bought, taken.plan.uncertain))
    order = shuffle(ids, work.settings.seed + SEEDS * number)
    trial = order[np.isin(order, places)][: work.settings.trial]
    if len(trial) < FEWEST_EXAMPLES:
        unused = StepRecord(judge=step.name, samples=0, trial=0, used=False)
        return replace(taken, records=(*taken.records, unused))
    names = {ids[i] for i in trial}
    work.ask(step, "Trial", names)
    work.ask(work.expert, "Trial", names)
    bought = taken.bought.copy()
    bought[trial] = True
    truth = work.scores(work.expert, [ids[i] for i in trial])
    scores = work.scores(step, [ids[i] for i in trial])

    price = price_of(step, work)
    spent = sum(record.cost_usd or 0.0 for record in taken.records if record.used)
    cost = None if price is None else round(price * len(places), 4)
    expected = _as_in_trial(predictions, places, trial, scores, truth, number)
    after = _plan(work, expected, goal, bought, spent + (cost or 0.0), taken.plan)
    pays = after.judgements < taken.plan.judgements
    if cost is not None and after.cost_usd is not None and taken.plan.cost_usd is not None:
        pays = after.cost_usd < taken.plan.cost_usd
    record = StepRecord(
        judge=step.name, samples=len(places) if pays else len(trial), trial=len(trial), used=pays,
        cost_usd=cost if pays or price is None else round(price * len(trial), 4),
    )  # fmt: skip
    work.console.print(step_text(record, taken.plan, after, work.expert.name))
    if pays:
        work.ask(step, "Asking", {ids[i] for i in places})
        scores = work.scores(step, [ids[i] for i in places])
        predictions = predictions.informed(number, places, scores, trial, truth)
        spent += record.cost_usd or 0.0
    plan = _plan(work, predictions, goal, bought, spent, after if pays else taken.plan)
    return Taken(predictions, bought, plan, (*taken.records, record))


def _as_in_trial(
    predictions: Predictions, places: Places, trial: Places, scores: np.ndarray, truth: np.ndarray, number: int
) -> Predictions:
    """What is expected of the step: all that it would be asked about comes out as the trial did.

    Each half of the trial is judged by what the other half tells, and stands for as many of the others.
    """
    half = np.arange(len(trial)) % 2 == 0
    tables = [table.copy() for table in predictions.tables]
    for one in (half, ~half):
        fit = predictions.informed(number, trial, scores, trial, np.where(one[:, None], np.nan, truth))
        for table, fitted in zip(tables, fit.tables, strict=True):
            table[trial[one]] = fitted[trial[one]]
    for table in tables:
        table[places] = table[np.resize(trial, len(places))]
    return replace(predictions, tables=tuple(tables))


def _plan(
    work: Work, predictions: Predictions, goal: Goal, bought: Flags, steps_usd: float, otherwise: Plan | None = None
) -> Plan:
    """The plan with its prices; `otherwise` where there is one, instead of a `UserError` that none can be made."""
    settings, price = work.settings, price_of(work.expert, work)
    try:
        plan = plan_cascade(
            predictions.probabilities(), goal, settings.risk, calibration=settings.calibration,
            check=settings.checks(len(predictions.ids)), bought=bought,
        )  # fmt: skip
    except UserError:
        if otherwise is None:
            raise
        return otherwise
    if price is None:
        return plan
    cost = round(price * (plan.judgements + plan.check) + steps_usd, 4)
    return plan.model_copy(update={"cost_usd": cost, "all_usd": round(price * plan.samples, 4)})
