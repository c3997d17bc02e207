"""What the ratings come to: means, comparisons, agreement, ranking; `ratings/STUDY/results.json`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from efficient_empathy.evaluation.ratings.questions import ScaleQuestion
from efficient_empathy.evaluation.ratings.reading import Answers, Reading, answers_to, describe_gaps, rater_summaries
from efficient_empathy.evaluation.ratings.record import (
    Comment,
    Contest,
    Key,
    RankedModel,
    RatedDimension,
    RatedModel,
    RaterAgreement,
    RatingsRecord,
)
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.run.record import finite
from efficient_empathy.foundation.settings import SETTINGS
from efficient_empathy.foundation.statistics.agreement import agreement, fleiss_kappa
from efficient_empathy.foundation.statistics.ranking import rank
from efficient_empathy.foundation.statistics.resampling import dialogue_draws, holm

PREFERENCES = (-1, 0, 1)
"""The scale of a comparison."""


@dataclass(frozen=True, config=SETTINGS)
class Resampling:
    """How intervals are made: dialogues are drawn with replacement, raters stay."""

    resamples: int = Field(default=1000, ge=0)
    """Draws of dialogues behind the intervals; 0 for none."""
    seed: int = Field(default=0, ge=0)
    """Of those draws."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of the intervals."""

    def interval(
        self, sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], dialogues: list[str]
    ) -> tuple[float, float] | None:
        """Percentiles of Σ sums / Σ counts over draws; None where it cannot be had."""
        if not self.resamples or len(set(dialogues)) < 2:
            return None
        weights = dialogue_draws(dialogues, self.resamples, self.seed)
        totals, of = weights @ sums, weights @ counts
        values = totals[of > 0] / of[of > 0]
        tail = (1 - self.confidence) / 2
        if not len(values):
            return None
        low, high = np.quantile(values, [tail, 1 - tail])
        return float(low), float(high)


def results(reading: Reading, key: Key, how: Resampling | None = None) -> RatingsRecord:
    """Everything that `results.json` has; docs/ratings.md says what each number is."""
    how = how or Resampling()
    rows = list(reading.rows.values())
    problems = list(reading.problems) + describe_gaps(rows, key)
    likert = {
        one.name: dimension
        for one in key.questionnaire.ratings
        if (dimension := _dimension(one, answers_to(one.name, "likert", rows, key), key, how)) is not None
    }
    by_question = {one.name: answers_to(one.name, "ab", rows, key) for one in key.questionnaire.comparisons}
    ab = _correct([row for question, answers in by_question.items() for row in _pairs(question, answers, key, how)])
    ranking: list[RankedModel] = []
    for question, answers in by_question.items():
        if len(answers.units):
            ranking += _ranking(question, answers, key, how, problems)
    problems += [f"{name}: {note}" for name, dimension in likert.items() for note in dimension.agreement.notes]
    ties = Counter((one.a, one.b) for one in key.identical)
    problems += [
        f"{a} and {b} gave the same response to {count:,} samples: nobody was asked to compare those, and each "
        "counts as one tie for every rater of the sample"
        for (a, b), count in ties.items()
    ]
    return RatingsRecord(
        study=key.study,
        sheets=tuple(reading.files),
        raters=rater_summaries(rows, key),
        samples=len(key.dialogues),
        likert=likert,
        ab=ab,
        ab_agreement={q: _agreement(answers, PREFERENCES, how) for q, answers in by_question.items() if answers.units},
        ranking=tuple(ranking),
        comments=tuple(
            Comment(
                rater=one.rater, item=one.item, sample_id=one.key.sample_id, text=one.comment,
                models=tuple(map(tuple, one.key.sides)),
            )
            for one in rows if one.comment
        ),
        problems=tuple(problems),
        resamples=how.resamples,
        seed=how.seed,
        confidence=how.confidence,
    )  # fmt: skip


def _dimension(question: ScaleQuestion, answers: Answers, key: Key, how: Resampling) -> RatedDimension | None:
    """Means and agreement on a question; None where nobody answered it."""
    has_rating = ~np.isnan(answers.values)
    sums, counts = np.where(has_rating, answers.values, 0).sum(1), has_rating.sum(1).astype(np.float64)
    models = []
    for model in key.models:
        own = np.array([model in sides[0] for _, sides in answers.units], dtype=bool)
        if not own.any():
            continue
        models.append(
            RatedModel(
                name=model,
                mean=float(sums[own].sum() / counts[own].sum()),
                interval=how.interval(sums * own, counts * own, answers.dialogues),
                n=int(counts[own].sum()),
                fleiss_kappa=fleiss_kappa(answers.values[own], question.points),
            )
        )
    if not models:
        return None
    agreement_on_it = _agreement(answers, question.points, how)
    return RatedDimension(text=question.text, scale=question.scale, models=tuple(models), agreement=agreement_on_it)


def _agreement(answers: Answers, scale: Sequence[float], how: Resampling) -> RaterAgreement:
    """The coefficients, their intervals and notes; none with a single rater."""
    items, raters = len(answers.units), len(answers.raters)
    if raters < 2:
        return RaterAgreement(items=items, raters=raters, notes=("one rater alone has no agreement",))
    coefficients = agreement(
        answers.values, scale, clusters=answers.dialogues, draws=how.resamples, seed=how.seed, confidence=how.confidence
    )
    return RaterAgreement(
        **{name: one.value for name, one in coefficients.items()},
        intervals={name: (one.low, one.high) for name, one in coefficients.items()},
        items=items,
        raters=raters,
        notes=tuple(note for one in coefficients.values() for note in one.notes),
    )


def _toward(answers: Answers, a: str, b: str) -> npt.NDArray[np.float64]:
    """The answers to comparisons of `a` with `b`: 1 where `a` was preferred; nan in the rows of other comparisons."""
    values = np.full(answers.values.shape, np.nan)
    for row, (_, (first, second)) in enumerate(answers.units):
        if a in first and b in second:
            values[row] = answers.values[row]
        elif b in first and a in second:
            values[row] = -answers.values[row]
    return values


def _pair(answers: Answers, a: str, b: str, key: Key) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Every answer to `a` against `b` with the dialogues of the rows; identical responses are ties of their raters."""
    same = [one for one in key.identical if {one.a, one.b} == {a, b}]
    ties = [[0.0 if rater in one.raters else math.nan for rater in answers.raters] for one in same]
    values = np.concatenate([_toward(answers, a, b), np.array(ties).reshape(len(same), len(answers.raters))])
    return values, [*answers.dialogues, *(key.dialogues[one.sample_id] for one in same)]


def _pairs(question: str, answers: Answers, key: Key, how: Resampling) -> list[Contest]:
    """Every two models that were compared; the p-values are not corrected yet."""
    rows = []
    for a, b in combinations(key.models, 2):
        values, dialogues = _pair(answers, a, b, key)
        win, tie, lose = (int((values == vote).sum()) for vote in (1, 0, -1))
        if not win + tie + lose:
            continue
        has_vote = ~np.isnan(values)
        halves, counts = np.where(has_vote, (values + 1) / 2, 0).sum(1), has_vote.sum(1).astype(np.float64)
        p = _sign_test(values, dialogues)
        rows.append(
            Contest(
                question=question, a=a, b=b, win=win, tie=tie, lose=lose,
                identical=sum({one.a, one.b} == {a, b} for one in key.identical),
                share=float(halves.sum() / counts.sum()),
                interval=how.interval(halves, counts, dialogues),
                p=p, p_holm=p,
                fleiss_kappa=fleiss_kappa(_toward(answers, a, b), PREFERENCES),
            )
        )  # fmt: skip
    return rows


def _correct(contests: Sequence[Contest]) -> tuple[Contest, ...]:
    """The contests with Holm's correction over all their tests."""
    adjusted = holm([math.nan if one.p is None else one.p for one in contests])
    return tuple(one.model_copy(update={"p_holm": finite(p)}) for one, p in zip(contests, adjusted, strict=True))


def _sign_test(values: npt.NDArray[np.float64], dialogues: Sequence[str]) -> float:
    """Two-sided exact sign test, one vote a dialogue: the side that more of its answers are for; ties have none.

    Answers of several raters to one item, and to several of one dialogue, are not independent, so they do not count
    one by one. nan where no dialogue is decided.
    """
    try:
        from scipy.stats import binomtest
    except ImportError as error:
        raise missing_extra("The sign test", "eval") from error
    votes: Counter[str] = Counter()
    for dialogue, row in zip(dialogues, np.nansum(values, axis=1), strict=True):
        votes[dialogue] += int(row)
    wins, losses = sum(vote > 0 for vote in votes.values()), sum(vote < 0 for vote in votes.values())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else math.nan


def _ranking(question: str, answers: Answers, key: Key, how: Resampling, problems: list[str]) -> list[RankedModel]:
    """The Bradley–Terry ranking of the models that were compared; a problem is noted instead where there is none."""
    places = {dialogue: place for place, dialogue in enumerate(dict.fromkeys(key.dialogues.values()))}
    wins = np.zeros((len(places), len(key.models), len(key.models)))
    for (i, a), (j, b) in combinations(enumerate(key.models), 2):
        values, dialogues = _pair(answers, a, b, key)
        for row, dialogue in zip(values, dialogues, strict=True):
            own = row[~np.isnan(row)]
            wins[places[dialogue], i, j] += ((own + 1) / 2).sum()
            wins[places[dialogue], j, i] += ((1 - own) / 2).sum()
    draws = None
    if how.resamples and len(places) > 1:
        draws = np.tensordot(dialogue_draws(list(places), how.resamples, how.seed), wins, 1)
    try:
        ranking = rank(key.models, wins.sum(0), draws, confidence=how.confidence)
    except UserError as error:
        problems.append(f"{question}: {error}")
        return []
    problems += [f"{question}: in the ranking {note}" for note in ranking.notes]
    return [
        RankedModel(question=question, name=one.name, strength=one.strength, interval=(one.low, one.high))
        for one in ranking.systems
    ]
