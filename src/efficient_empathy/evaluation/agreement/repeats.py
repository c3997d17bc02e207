"""Repeatability: how far a judge agrees with itself when it is asked again."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from efficient_empathy.evaluation.agreement.measures import Closeness, estimate, estimates, mean_of, resampled
from efficient_empathy.evaluation.agreement.raters import ITEM, ComparedAxis, RatedItems, Rater, rounds_of
from efficient_empathy.evaluation.agreement.record import SUBSET, Repeatability
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.subsets import Subsets
from efficient_empathy.foundation.statistics.measured import Floats, Measured, Weights


def repeatability(rated: RatedItems, subsets: Subsets | None, settings: AgreementSettings) -> tuple[Repeatability, ...]:
    """Of every rater with several rounds, on every axis, and on the subset by the rules on each round's scores.

    `items` are those with two rounds or more, whoever else scored them.
    """
    rows = []
    for rater in rated.raters:
        if len(rater.rounds()) < 2:
            continue
        rows += [_on(axis, rater, settings) for axis in rated.axes if axis.name in rater.axes]
        if subsets is not None and subsets.covers(rater):
            rows.append(_on_subset(subsets, rater, settings))
    return tuple(row for row in rows if row.items)


def _on(axis: ComparedAxis, rater: Rater, settings: AgreementSettings) -> Repeatability:
    items, scores = rounds_of(rater, axis.name)
    twos = list(combinations(range(scores.shape[1]), 2))
    measured: dict[str, Measured] = {
        f"{a} {b}": Closeness(scores[:, a], scores[:, b], axis.scale_for(scores[:, a], scores[:, b])) for a, b in twos
    }
    measured["within"] = _Within(_is_same(scores), _variance(scores))
    figures = resampled(measured, _clusters(rater, items), draws=settings.resamples, seed=settings.seed)
    return Repeatability(
        rater=rater.name,
        axis=axis.name,
        rounds=scores.shape[1],
        items=len(items),
        figures=estimates(figures["within"] | mean_of(figures[f"{a} {b}"] for a, b in twos), settings.confidence),
    )


def _on_subset(subsets: Subsets, rater: Rater, settings: AgreementSettings) -> Repeatability:
    by_axis = {axis: rounds_of(rater, axis) for axis in subsets.axes}
    places = {axis: {item: place for place, item in enumerate(items)} for axis, (items, _) in by_axis.items()}
    first, *others = places.values()
    items = [item for item in first if all(item in other for other in others)]
    scores = {axis: by_axis[axis][1][[places[axis][item] for item in items]] for axis in subsets.axes}
    rounds = len(rater.rounds())
    codes = np.stack(
        [subsets.by_scores(items, {axis: one[:, k] for axis, one in scores.items()}) for k in range(rounds)], axis=1
    ).astype(np.float64)
    codes[codes < 0] = np.nan
    measured = {"": _Within(_is_same(codes), np.zeros(len(codes)))}
    figures = resampled(measured, _clusters(rater, items), draws=settings.resamples, seed=settings.seed)[""]
    return Repeatability(
        rater=rater.name,
        axis=SUBSET,
        rounds=rounds,
        items=len(items),
        figures={"all_same": estimate(figures["all_same"], settings.confidence)},
    )


class _Within(Measured):
    """What varies within items, under weights."""

    def __init__(self, same: np.ndarray, variance: Floats) -> None:
        self._same, self._variance = same.astype(np.float64), variance

    def under(self, weights: Weights | None = None) -> dict[str, Floats]:
        """`all_same` and `spread`, shape (draws,)."""
        weights = np.ones((1, len(self._same))) if weights is None else weights
        total = weights.sum(1)
        with np.errstate(invalid="ignore"):  # there may be no item at all
            return {"all_same": weights @ self._same / total, "spread": np.sqrt(weights @ self._variance / total)}


def _is_same(scores: Floats) -> np.ndarray:
    if not len(scores):
        return np.zeros(0, dtype=bool)
    found: np.ndarray = np.nanmax(scores, axis=1) == np.nanmin(scores, axis=1)
    return found


def _variance(scores: Floats) -> Floats:
    """Of each item's rounds, unbiased."""
    found: Floats = np.nanvar(scores, axis=1, ddof=1) if len(scores) else np.zeros(0)
    return found


def _clusters(rater: Rater, items: list[str]) -> list[str]:
    dialogues = dict(rater.about.select(ITEM, "dialogue_id").iter_rows())
    return [f"dialogue {found}" if (found := dialogues.get(item)) else f"item {item}" for item in items]
