"""Repeatability: how far a judge agrees with itself when it is asked again."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from efficient_empathy.evaluation.agreement.measures import Shared, mean_of, recorded, resampled
from efficient_empathy.evaluation.agreement.panel import Axis, Floats, Panel, rounds_of
from efficient_empathy.evaluation.agreement.rater import ITEM, Rater
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.subsets import policy_of, subset_codes
from efficient_empathy.foundation.statistics.resampling import Measured, Weights
from efficient_empathy.selection.columns import AXES


def repeatability(panel: Panel, settings: AgreementSettings) -> list[dict[str, Any]]:
    """Of every rater with several rounds, on every axis: `rater, axis, rounds, items, figures`.

    `items` are those with two rounds or more, whoever else scored them. Figures: the means over every two rounds of
    `closeness.FIGURES`; `all_same`, the share of items with one score in all rounds; `spread`, the standard deviation
    of one item's rounds, pooled over items. On the axis `subset`, where both of the policies' are there: `all_same`, by
    the rule on each round's scores.
    """
    rows = []
    for rater in panel.raters:
        if len(rater.rounds()) < 2:
            continue
        rows += [_on(axis, rater, settings) for axis in panel.axes if axis.name in rater.axes]
        if set(AXES) <= {axis.name for axis in panel.axes} & set(rater.axes):
            rows.append(_on_subset(rater, settings))
    return [row for row in rows if row["items"]]


def _on(axis: Axis, rater: Rater, settings: AgreementSettings) -> dict[str, Any]:
    items, scores = rounds_of(rater, axis.name)
    twos = list(combinations(range(scores.shape[1]), 2))
    measured: dict[str, Measured] = {
        f"{a} {b}": Shared(scores[:, a], scores[:, b], axis.scale_for(scores[:, a], scores[:, b])) for a, b in twos
    }
    measured["within"] = _Within(_is_same(scores), _variance(scores))
    figures = resampled(measured, _clusters(rater, items), draws=settings.draws, seed=settings.seed)
    found = figures["within"] | mean_of(figures[f"{a} {b}"] for a, b in twos)
    return {
        "rater": rater.name,
        "axis": axis.name,
        "rounds": scores.shape[1],
        "items": len(items),
        "figures": {name: recorded(one, settings.confidence) for name, one in found.items()},
    }


def _on_subset(rater: Rater, settings: AgreementSettings) -> dict[str, Any]:
    policy = policy_of(settings)
    (items, sensibility), (others, rationality) = (rounds_of(rater, axis) for axis in AXES)
    places = {item: place for place, item in enumerate(others)}
    both = [(i, places[item]) for i, item in enumerate(items) if item in places]
    rows = np.array(both, dtype=np.intp).reshape(-1, 2)
    kept = [items[i] for i, _ in both]
    codes = np.stack(
        [
            subset_codes(policy, kept, sensibility[rows[:, 0], k], rationality[rows[:, 1], k])
            for k in range(sensibility.shape[1])
        ],
        axis=1,
    ).astype(np.float64)
    codes[codes < 0] = np.nan
    measured = {"": _Within(_is_same(codes), np.zeros(len(codes)))}
    figures = resampled(measured, _clusters(rater, kept), draws=settings.draws, seed=settings.seed)[""]
    return {
        "rater": rater.name,
        "axis": "subset",
        "rounds": codes.shape[1],
        "items": len(kept),
        "figures": {"all_same": recorded(figures["all_same"], settings.confidence)},
    }


class _Within:
    """What varies within items, under weights."""

    repeatable = True

    def __init__(self, same: np.ndarray, variance: Floats) -> None:
        self._same, self._variance = same.astype(np.float64), variance

    @property
    def parts(self) -> list[Measured]:
        """Itself alone."""
        return [self]

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
