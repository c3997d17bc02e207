"""What the ratings come to: means, comparisons, agreement, ranking; `ratings/results.json`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from efficient_empathy.evaluation.ratings.key import Key
from efficient_empathy.evaluation.ratings.questions import DIMENSIONS, SCALE
from efficient_empathy.evaluation.ratings.raters import missing, raters
from efficient_empathy.evaluation.ratings.reading import Reading
from efficient_empathy.evaluation.ratings.tables import Answers, answers_to
from efficient_empathy.foundation.errors import UserError, missing_extra
from efficient_empathy.foundation.statistics.agreement import agreement
from efficient_empathy.foundation.statistics.correction import holm
from efficient_empathy.foundation.statistics.finite import finite
from efficient_empathy.foundation.statistics.kappa import fleiss_kappa
from efficient_empathy.foundation.statistics.ranking import rank
from efficient_empathy.foundation.statistics.resampling import dialogue_draws

PREFERENCES = (-1, 0, 1)
"""The scale of a comparison."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are had: dialogues are drawn with replacement, raters stay."""

    draws: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def interval(self, sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], dialogues: list[str]) -> Any:
        """Percentiles of Σ sums / Σ counts over draws; [nan, nan] where it cannot be had."""
        if not self.draws or len(set(dialogues)) < 2:
            return [math.nan, math.nan]
        weights = dialogue_draws(dialogues, self.draws, self.seed)
        drawn, of = weights @ sums, weights @ counts
        values = drawn[of > 0] / of[of > 0]
        tail = (1 - self.confidence) / 2
        return [float(value) for value in np.quantile(values, [tail, 1 - tail])] if len(values) else [math.nan] * 2


def results(reading: Reading, key: Key, how: Resampling | None = None) -> dict[str, Any]:
    """Everything that `results.json` has; docs/ratings.md says what each number is. Undefined numbers are None."""
    how = how or Resampling()
    filled = list(reading.filled.values())
    problems = list(reading.problems) + missing(filled, key)
    likert = {one.name: _dimension(answers_to(one.name, "likert", filled, key), key, how) for one in DIMENSIONS}
    likert = {name: found for name, found in likert.items() if found["models"]}
    compared = {question: answers_to(question, "ab", filled, key) for question in key.questions}
    ab = [row for question, answers in compared.items() for row in _pairs(question, answers, key, how)]
    for row, adjusted in zip(ab, holm([row["p"] for row in ab]), strict=True):
        row["p_holm"] = adjusted
    ranking = []
    for question, answers in compared.items():
        if len(answers.units):
            ranking += _ranking(question, answers, key, how, problems)
    problems += [f"{name}: {note}" for name, found in likert.items() for note in found["agreement"]["notes"]]
    ties = Counter((one.a, one.b) for one in key.identical)
    problems += [
        f"{a} and {b} gave the same response to {count:,} samples: nobody was asked to compare those, and each "
        "counts as one tie for every rater"
        for (a, b), count in ties.items()
    ]
    found: dict[str, Any] = {
        "sheets": reading.files,
        "raters": raters(filled, key),
        "samples": len(key.dialogues),
        "likert": likert,
        "ab": ab,
        "ab_agreement": {q: _agreement(answers, PREFERENCES, how) for q, answers in compared.items() if answers.units},
        "ranking": ranking,
        "comments": [
            {"rater": one.rater, "item": one.item, "sample_id": one.key.sample_id, "models": one.key.shown,
             "text": one.comment}
            for one in filled if one.comment
        ],
        "problems": problems,
        "resamples": how.draws,
        "seed": how.seed,
        "confidence": how.confidence,
    }  # fmt: skip
    plain: dict[str, Any] = finite(found)
    return plain


def _dimension(answers: Answers, key: Key, how: Resampling) -> dict[str, Any]:
    rated = ~np.isnan(answers.values)
    sums, counts = np.where(rated, answers.values, 0).sum(1), rated.sum(1).astype(np.float64)
    models = []
    for model in key.models:
        own = np.array([model in shown[0] for _, shown in answers.units], dtype=bool)
        if not own.any():
            continue
        models.append(
            {
                "name": model,
                "mean": float(sums[own].sum() / counts[own].sum()),
                "interval": how.interval(sums * own, counts * own, answers.dialogues),
                "n": int(counts[own].sum()),
                "fleiss_kappa": fleiss_kappa(answers.values[own], SCALE),
            }
        )
    return {"models": models, "agreement": _agreement(answers, SCALE, how) if models else {}}


def _agreement(answers: Answers, scale: Sequence[float], how: Resampling) -> dict[str, Any]:
    """The statistics by name, their intervals and notes; empty of numbers with a single rater."""
    if len(answers.raters) < 2:
        return {
            "items": len(answers.units),
            "raters": len(answers.raters),
            "notes": ["one rater alone has no agreement"],
        }
    found = agreement(
        answers.values, scale, clusters=answers.dialogues, draws=how.draws, seed=how.seed, confidence=how.confidence
    )
    return {
        **{name: one.value for name, one in found.items()},
        "intervals": {name: [one.low, one.high] for name, one in found.items()},
        "items": len(answers.units),
        "raters": len(answers.raters),
        "notes": [note for one in found.values() for note in one.notes],
    }


def _toward(answers: Answers, a: str, b: str) -> npt.NDArray[np.float64]:
    """The answers to comparisons of `a` with `b`: 1 where `a` was preferred; nan in the rows of other comparisons."""
    found = np.full(answers.values.shape, np.nan)
    for row, (_, (first, second)) in enumerate(answers.units):
        if a in first and b in second:
            found[row] = answers.values[row]
        elif b in first and a in second:
            found[row] = -answers.values[row]
    return found


def _pair(answers: Answers, a: str, b: str, key: Key) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Every answer to `a` against `b` with the dialogues of the rows; identical responses are ties of all raters."""
    same = [key.dialogues[one.sample_id] for one in key.identical if {one.a, one.b} == {a, b}]
    ties = np.zeros((len(same), len(answers.raters)))
    return np.concatenate([_toward(answers, a, b), ties]), [*answers.dialogues, *same]


def _pairs(question: str, answers: Answers, key: Key, how: Resampling) -> list[dict[str, Any]]:
    rows = []
    for a, b in combinations(key.models, 2):
        values, dialogues = _pair(answers, a, b, key)
        win, tie, lose = (int((values == wanted).sum()) for wanted in (1, 0, -1))
        if not win + tie + lose:
            continue
        rated = ~np.isnan(values)
        halves, counts = np.where(rated, (values + 1) / 2, 0).sum(1), rated.sum(1).astype(np.float64)
        toward = _toward(answers, a, b)
        rows.append(
            {
                "question": question, "a": a, "b": b, "win": win, "tie": tie, "lose": lose,
                "identical": sum({one.a, one.b} == {a, b} for one in key.identical),
                "share": float(halves.sum() / counts.sum()),
                "interval": how.interval(halves, counts, dialogues),
                "p": _sign_test(values, dialogues),
                "fleiss_kappa": fleiss_kappa(toward, PREFERENCES),
            }
        )  # fmt: skip
    return rows


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
    won, lost = sum(vote > 0 for vote in votes.values()), sum(vote < 0 for vote in votes.values())
    return float(binomtest(won, won + lost).pvalue) if won + lost else math.nan


def _ranking(question: str, answers: Answers, key: Key, how: Resampling, problems: list[str]) -> list[dict[str, Any]]:
    """The Bradley–Terry ranking of the models that were compared; a problem is noted instead where there is none."""
    places = {dialogue: place for place, dialogue in enumerate(dict.fromkeys(key.dialogues.values()))}
    wins = np.zeros((len(places), len(key.models), len(key.models)))
    for (i, a), (j, b) in combinations(enumerate(key.models), 2):
        values, dialogues = _pair(answers, a, b, key)
        for row, dialogue in zip(values, dialogues, strict=True):
            given = row[~np.isnan(row)]
            wins[places[dialogue], i, j] += ((given + 1) / 2).sum()
            wins[places[dialogue], j, i] += ((1 - given) / 2).sum()
    drawn = None
    if how.draws and len(places) > 1:
        drawn = np.tensordot(dialogue_draws(list(places), how.draws, how.seed), wins, 1)
    try:
        ranking = rank(key.models, wins.sum(0), drawn, confidence=how.confidence)
    except UserError as error:
        problems.append(f"{question}: {error}")
        return []
    problems += [f"{question}: in the ranking {note}" for note in ranking.notes]
    return [
        {"question": question, "name": one.name, "strength": one.strength, "interval": [one.low, one.high]}
        for one in ranking.ranked
    ]
